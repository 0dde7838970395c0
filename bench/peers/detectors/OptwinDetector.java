import moa.classifiers.core.driftdetection.OPTWIN;

/** What a value costs the detector of OPTWIN's authors, as MoaDetectors measures it. OPTWIN_CUT_PATH is the folder of their cuts. */
public class OptwinDetector {
  public static void main(String[] args) {
    double[] values = MoaDetectors.errors(Integer.parseInt(args[0]));
    for (String rho : "0.5 1.0".split(" ")) {
      double ns = 0;
      for (int i = 0; i < 2; i++) {
        OPTWIN detector = new OPTWIN();
        detector.rigorness.setChosenLabel(rho);
        ns = MoaDetectors.measure(detector, values);
      }
      System.out.println("optwin, rho " + rho + " " + ns);
    }
  }
}
