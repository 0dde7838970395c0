// The workloads of bench/chain, bench/windows and bench/wordcount in Apache Flink, in this process, parallelism 1.
//
//   java FlinkStreams chain N | ysb N | wordcount FILE
//
// Prints how many records, and the seconds that the job took.

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.util.Collector;

public class FlinkStreams {
  static long result = 0;
  static List<String> lines;

  /** Marsaglia's xorshift. */
  static class Random implements java.io.Serializable {
    long state = 88172645463325252L;

    long next() {
      state ^= state << 13;
      state ^= state >>> 7;
      state ^= state << 17;
      return state;
    }
  }

  public static class Numbers implements GeneratorFunction<Long, Long> {
    final Random random = new Random();

    public Long map(Long i) {
      return random.next();
    }
  }

  public static class Event {
    public long user, time;
    public int ad;
    public byte kind;
  }

  public static class View {
    public int campaign;
    public long time;
  }

  public static class Events implements GeneratorFunction<Long, Event> {
    final Random random = new Random();

    public Event map(Long i) {
      final long state = random.next(), low = state & 0xffffffffL, high = state >>> 32;
      final Event event = new Event();
      event.user = (low ^ high) * 1_000_000 >>> 32;
      event.ad = (int) (low * 1_000 >>> 32);
      event.kind = (byte) (high * 3 >>> 32);
      event.time = i;
      return event;
    }
  }

  public static class Lines implements GeneratorFunction<Long, String> {
    public String map(Long i) {
      return lines.get((int) (long) i);
    }
  }

  static class Count<T> implements AggregateFunction<T, Long, Long> {
    public Long createAccumulator() {
      return 0L;
    }
    public Long add(T one, Long count) {
      return count + 1;
    }
    public Long merge(Long a, Long b) {
      return a + b;
    }
    public Long getResult(Long count) {
      return count;
    }
  }

  /** The last step of each job: adds up what came. */
  static class Total implements MapFunction<Long, Long> {
    public Long map(Long n) {
      return result += n;
    }
  }

  static class Words implements FlatMapFunction<String, Tuple2<String, Long>> {
    public void flatMap(String line, Collector<Tuple2<String, Long>> out) {
      int at = 0;
      while (true) {
        while (at < line.length() && line.charAt(at) <= ' ') ++at;
        if (at == line.length()) return;
        final int start = at;
        while (at < line.length() && line.charAt(at) > ' ') ++at;
        out.collect(Tuple2.of(line.substring(start, at), 1L));
      }
    }
  }

  static <T> DataStream<T> source(
      StreamExecutionEnvironment env, GeneratorFunction<Long, T> make, long n, TypeInformation<T> type) {
    final DataGeneratorSource<T> source = new DataGeneratorSource<>(make, n, type);
    return env.fromSource(source, WatermarkStrategy.noWatermarks(), "source");
  }

  public static void main(String[] arguments) throws Exception {
    final StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(1);
    env.getConfig().enableObjectReuse();
    long records, expected = 0;
    if (arguments[0].equals("chain")) {
      records = Long.parseLong(arguments[1]);
      source(env, new Numbers(), records, Types.LONG)
          .map(n -> n >>> 3).returns(Types.LONG)
          .map(n -> n * 5 + 1).returns(Types.LONG)
          .filter(n -> n % 64 != 0)
          .map(new Total()).returns(Types.LONG)
          .sinkTo(new DiscardingSink<>());
      final Random random = new Random();
      for (long i = 0; i < records; ++i) {
        final long b = (random.next() >>> 3) * 5 + 1;
        if (b % 64 != 0) expected += b;
      }
    } else if (arguments[0].equals("ysb")) {
      records = Long.parseLong(arguments[1]);
      source(env, new Events(), records, Types.POJO(Event.class))
          .filter(event -> event.kind == 0)
          .map(event -> {
            final View view = new View();
            view.campaign = event.ad * 7 % 100;
            view.time = event.time;
            return view;
          }).returns(Types.POJO(View.class))
          .assignTimestampsAndWatermarks(WatermarkStrategy.<View>forMonotonousTimestamps()
              .withTimestampAssigner((view, time) -> view.time / 1_000))
          .keyBy(view -> view.campaign, Types.INT)
          .window(TumblingEventTimeWindows.of(Duration.ofSeconds(10)))
          .aggregate(new Count<View>(), Types.LONG, Types.LONG)
          .map(new Total()).returns(Types.LONG)
          .sinkTo(new DiscardingSink<>());
      final Events events = new Events();
      for (long i = 0; i < records; ++i) expected += events.map(i).kind == 0 ? 1 : 0;
    } else {
      lines = Files.readAllLines(Path.of(arguments[1]), StandardCharsets.ISO_8859_1);
      source(env, new Lines(), lines.size(), Types.STRING)
          .flatMap(new Words()).returns(Types.TUPLE(Types.STRING, Types.LONG))
          .keyBy(word -> word.f0, Types.STRING)
          .sum(1)
          .map(word -> 1L).returns(Types.LONG)
          .map(new Total()).returns(Types.LONG)
          .sinkTo(new DiscardingSink<>());
      final long[] words = {0};
      final Collector<Tuple2<String, Long>> counter = new Collector<>() {
        public void collect(Tuple2<String, Long> word) {
          ++words[0];
        }
        public void close() {}
      };
      for (final String line : lines) new Words().flatMap(line, counter);
      records = expected = words[0];
    }
    final double seconds = env.execute().getNetRuntime() / 1e3;
    if (result != expected) throw new AssertionError("came to " + result + ", not " + expected);
    System.out.println("RESULT " + records + " " + seconds);
    System.exit(0);
  }
}
