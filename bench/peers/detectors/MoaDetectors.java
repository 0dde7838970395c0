import java.util.Random;
import moa.classifiers.core.driftdetection.*;

/** What a value costs MOA's detectors: ns of processor time, errors at a rate of 0.2, the JVM warmed up. One line for each: name, ns. */
public class MoaDetectors {
  static double measure(AbstractChangeDetector detector, double[] values) {
    long begin = java.lang.management.ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    int signals = 0;
    for (double value : values) {
      detector.input(value);
      if (detector.getChange()) signals++;
    }
    long end = java.lang.management.ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    if (signals < 0) System.out.println(signals);
    return (end - begin) / (double) values.length;
  }

  static AbstractChangeDetector make(String name) {
    switch (name) {
      case "adwin": return new ADWINChangeDetector();
      case "ddm": return new DDM();
      case "eddm": return new EDDM();
      case "ecdd": return new EWMAChartDM();
      case "stepd": return new STEPD();
      case "hddm_a": return new HDDM_A_Test();
      case "hddm_w": return new HDDM_W_Test();
      case "page_hinkley": return new PageHinkleyDM();
      case "cusum": return new CusumDM();
      default: return new RDDM();
    }
  }

  static double[] errors(int n) {
    Random random = new Random(1);
    double[] values = new double[n];
    for (int i = 0; i < n; i++) values[i] = random.nextDouble() < 0.2 ? 1 : 0;
    return values;
  }

  public static void main(String[] args) {
    double[] values = errors(Integer.parseInt(args[0]));
    for (String name : "adwin ddm eddm ecdd stepd hddm_a hddm_w page_hinkley cusum rddm".split(" ")) {
      measure(make(name), values);
      System.out.println(name + " " + measure(make(name), values));
    }
  }
}
