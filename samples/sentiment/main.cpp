#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <tensair/drift/detectors.hpp>
#include <tensair/io/csv.hpp>
#include <tensair/io/tcp.hpp>
#include <tensair/tensair.hpp>
#include <vector>

#include "generate.hpp"
#include "inject.hpp"
#include "network.hpp"
#include "read.hpp"
#include "report.hpp"
#include "word2vec/vectors.hpp"
#include "word_weights.hpp"

// Follows a stream of tweets: says of each how whoever wrote it feels, is told, and learns. The whole job is in
// `build`: tweets → batches → model on every node → metrics, detectors → the model's mode.

namespace {

using namespace sentiment;

struct Arguments {
  std::filesystem::path data;
  std::string tcp, adapt = "automatic", detector = "optwin", on_drift = "keep", swap_at;
  std::uint64_t tweets = 30'000, swap_every = 0, topic_at = 0, imbalance_at = 0;
  int batch = 32, replicas = 0;
  double rho = 0.5, class_rho = 1.5;
  bool skip_bad = false;
  std::filesystem::path plot, save, load, vectors;
};

auto names_of_detectors() -> std::vector<std::string> {
  std::vector<std::string> names;
  tensair::drift::for_each_detector([&](auto parameters) { names.emplace_back(decltype(parameters)::Detector::name); });
  return names;
}

auto default_data() -> std::filesystem::path {
  const auto* folder = std::getenv("TENSAIR_DATA");
  if (folder == nullptr) return {};
  const auto tweets = std::filesystem::path(folder) / "tweets";
  if (!std::filesystem::is_directory(tweets)) return {};
  for (const auto& entry : std::filesystem::directory_iterator(tweets)) {
    if (entry.path().extension() == ".csv" || entry.path().extension() == ".tsv") return entry.path();
  }
  return {};
}

auto flags_for(Arguments& arguments) -> tensair::Flags {
  auto flags =
      tensair::Flags{"sentiment", "Learns on a stream of tweets how their writers feel, and follows when it changes."};
  flags
      .add("--data", arguments.data,
           "CSV or TSV of tweets: the columns text and label (0 or 1), or Sentiment140's (default: "
           "$TENSAIR_DATA/tweets; "
           "without it, tweets are generated)")
      .add("--tcp", arguments.tcp, "HOST:PORT of a server that sends lines: a label (or nothing), a tab, a text")
      .add("--tweets", arguments.tweets, "how many are generated")
      .add("--adapt", arguments.adapt, {"always", "reset", "automatic", "never"},
           "train always; always, and reset the optimiser at a drift; until the loss falls no further, and again at a "
           "drift; or never")
      .add("--detector", arguments.detector, names_of_detectors(),
           "what finds drifts: OPTWIN in batches' losses, any other in tweets' errors")
      .add("--on-drift", arguments.on_drift, {"keep", "reset_optimizer", "reset", "from_buffer", "challenge"},
           "what --adapt automatic does at a drift, beside training again")
      .add("--rho", arguments.rho, "OPTWIN's, for the loss: how great a change matters, in standard deviations")
      .add("--class-rho", arguments.class_rho, "the same for the share of either class in a batch")
      .add("--batch", arguments.batch, "tweets in a batch: predicted together, then learnt from together")
      .add("--replicas", arguments.replicas, "replicas of the model on all nodes; 0: one a node")
      .add("--swap-at", arguments.swap_at, "after how many tweets labels change their meaning: N,N,…")
      .add("--swap-every", arguments.swap_every, "after how many tweets they do so again and again; 0: never")
      .add("--topic-at", arguments.topic_at, "after how many tweets all words are other ones; 0: never")
      .add("--imbalance-at", arguments.imbalance_at,
           "after how many tweets nine of ten positive ones are left out; 0: never")
      .add("--skip-bad", arguments.skip_bad, "count tweets that cannot be read, instead of stopping at the first")
      .add("--plot", arguments.plot, "SVG file for a plot of accuracy over time")
      .add("--vectors", arguments.vectors, "word2vec's file of vectors, from which words' weights begin")
      .add("--load", arguments.load, "file with parameters to start from")
      .add("--save", arguments.save, "file for the trained parameters; Python reads it with torch.load");
  return flags;
}

void require(bool good, const char* flag, const std::string& value, const char* range) {
  if (!good) throw tensair::UsageError(fmt::format("{} takes {}, not '{}'", flag, range, value), {}, "See --help.");
}

auto numbers_of(const std::string& text) -> std::vector<std::uint64_t> {
  std::vector<std::uint64_t> numbers;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    std::uint64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    require(error == std::errc{} && (next == end || *next == ','), "--swap-at", text,
            "whole numbers with commas between");
    numbers.push_back(number);
    at = next == end ? end : next + 1;
  }
  return numbers;
}

auto injection_of(const Arguments& arguments) -> Injection {
  return {numbers_of(arguments.swap_at), arguments.swap_every, arguments.topic_at, arguments.imbalance_at};
}

void check(const Arguments& arguments) {
  require(arguments.batch >= 1 && arguments.batch <= 100'000, "--batch", fmt::format("{}", arguments.batch),
          "a whole number from 1 to 100000");
  require(arguments.replicas >= 0 && arguments.replicas <= 1024, "--replicas", fmt::format("{}", arguments.replicas),
          "a whole number from 0 to 1024");
  if (!arguments.tcp.empty() && !arguments.data.empty())
    throw tensair::UsageError("--data and --tcp are two sources", {}, "Give one of them.");
}

/// The share of a class among a batch's labels.
struct Share {
  int feeling = 0;
  double share = 0;
};

auto shares_of(const tensair::Evaluation& evaluation) -> std::vector<Share> {
  const auto labels = evaluation.targets.ge(0).sum().item<double>();
  if (labels == 0) return {};
  const double positive = evaluation.targets.clamp_min(0).sum().item<double>() / labels;
  return {{0, 1 - positive}, {1, positive}};
}

/// The program's pipeline, behind its source.
class Program {
 public:
  Program(tensair::Pipeline& pipeline, const Arguments& arguments, Report& report)
      : pipeline_(pipeline), arguments_(arguments), report_(report), injection_(injection_of(arguments)) {
    learning_.batch = static_cast<std::size_t>(arguments.batch);
    Report::Settings settings;
    settings.detector = arguments.detector;
    settings.total = arguments.data.empty() && arguments.tcp.empty() ? arguments.tweets : 0;
    settings.training = arguments.adapt != "never";
    settings.quiet = pipeline.options().quiet;
    settings.injection = injection_;
    settings.plot = arguments.plot;
    report.begin(std::move(settings));
  }

  void build() {
    if (!arguments_.tcp.empty()) {
      const auto colon = arguments_.tcp.rfind(':');
      int port = 0;
      const auto* end = arguments_.tcp.data() + arguments_.tcp.size();
      const bool good = colon != std::string::npos &&
                        std::from_chars(arguments_.tcp.data() + colon + 1, end, port).ptr == end && port > 0 &&
                        port < 65'536;
      require(good, "--tcp", arguments_.tcp, "HOST:PORT");
      auto tweets =
          pipeline_.source(tensair::tcp_lines(arguments_.tcp.substr(0, colon), static_cast<std::uint16_t>(port)))
              .map(tweet_of);
      // Somebody waits for what comes now and then: no longer than this for a batch to be full.
      constexpr auto longest_wait = std::chrono::milliseconds{100};
      if (arguments_.skip_bad) {
        follow(std::move(tweets).on_error(tensair::skip), tensair::BatchOptions{learning_.batch, longest_wait});
      } else {
        follow(std::move(tweets), tensair::BatchOptions{learning_.batch, longest_wait});
      }
    } else if (!arguments_.data.empty()) {
      auto tweets_of_file = pipeline_.source(TweetFile{arguments_.data});
      if (arguments_.skip_bad) {
        follow(std::move(tweets_of_file).on_error(tensair::skip), learning_.batch);
      } else {
        follow(std::move(tweets_of_file), learning_.batch);
      }
    } else {
      follow(pipeline_.source(
                 [tweets = Generator{pipeline_.options().seed, arguments_.tweets}]() mutable { return tweets.next(); }),
             learning_.batch);
    }
  }

 private:
  auto replicas() const -> int {
    return arguments_.replicas > 0 ? arguments_.replicas : pipeline_.options().node_count();
  }

  auto options() const -> tensair::ModelOptions {
    auto options = sentiment::options(learning_, replicas());
    options.replicas = arguments_.replicas;
    // The first node reads the tweets and makes features of them: one replica is best somewhere else.
    if (arguments_.replicas == 1) options.on = pipeline_.options().node_count() - 1;
    options.load = arguments_.load;
    options.save = arguments_.save;
    return options;
  }

  auto detector() const -> tensair::drift::AnyDetector {
    // Batches' mean losses vary little: ten of them tell.
    if (arguments_.detector == "optwin") return tensair::optwin{.rho = arguments_.rho, .min_window = 10};
    tensair::drift::AnyDetector found;
    tensair::drift::for_each_detector([&](auto parameters) {
      if (decltype(parameters)::Detector::name == arguments_.detector) found = parameters;
    });
    return found;
  }

  auto adaptation() const -> tensair::Automatic {
    using tensair::OnDrift;
    constexpr std::size_t tweets_a_window = 480;
    tensair::Automatic automatic;
    automatic.detector = detector();
    automatic.watched = arguments_.detector == "optwin" ? tensair::Watched::losses : tensair::Watched::errors;
    automatic.convergence = {
        .window = std::max<std::size_t>(1, tweets_a_window / learning_.batch), .windows = 1, .factor = 1.05};
    automatic.rests = automatic_;
    automatic.while_training = !automatic_;
    if (arguments_.adapt == "reset") automatic.on_drift = OnDrift::reset_optimizer;
    if (automatic_) {
      const std::map<std::string, OnDrift> deeds{{"keep", OnDrift::keep},
                                                 {"reset_optimizer", OnDrift::reset_optimizer},
                                                 {"reset", OnDrift::reset},
                                                 {"from_buffer", OnDrift::from_buffer},
                                                 {"challenge", OnDrift::challenge}};
      automatic.on_drift = deeds.at(arguments_.on_drift);
      automatic.while_training = automatic.on_drift == OnDrift::challenge;
    }
    return automatic;
  }

  template <class Tweets, class Batching>
  void follow(Tweets tweets, Batching batching) {
    std::vector<float> weights;
    if (!arguments_.vectors.empty())
      weights = weights_of_words(word2vec::read_vectors(arguments_.vectors), Features{learning_.rows}, learning_.rows);
    auto net = pipeline_.model(
        "sentiment", [rows = learning_.rows, weights] { return std::make_shared<Network>(rows, weights); }, options());

    if (arguments_.adapt == "never") {
      net.mode(tensair::Mode::never);
    } else {
      net.mode(adaptation());
    }

    auto evaluations = std::move(tweets)
                           .template flat_map<Tweet>([inject = Inject{injection_}](Tweet one, auto emit) mutable {
                             if (auto now = inject(std::move(one))) emit(std::move(*now));
                           })
                           .name("drift put in")
                           .batch(batching)
                           .model(net, Collate{learning_.rows})
                           .evaluate(tensair::routing::in_turn, {.outputs = true});
    evaluations.sink([this](const tensair::Evaluation& one) { report_.seen(one.score.examples); });

    using namespace tensair::metrics;
    evaluations.flat_map(tensair::class_outcomes)
        .measure({.every = measured_every}, Accuracy{}, Kappa{}, sliding(window, Accuracy{}))
        .sink([this](const tensair::Measurement& one) { report_.measured(one); });

    // A model that rests does not see that one class has become rare: what it says is as right as before.
    auto imbalances = evaluations.flat_map(shares_of)
                          .key_by(&Share::feeling)
                          .detect(tensair::optwin{.rho = arguments_.class_rho}, &Share::share);
    imbalances.sink([this](const auto& drift) { report_.drifted(drift.index * learning_.batch, "classes"); });
    if (automatic_) net.control(imbalances.map([](const auto&) { return tensair::Mode::automatic; }));
    net.decisions().sink([this](const tensair::Decision& one) { report_.decided(one); });

    // A held-out tweet for the sake of what is told with it: how many the model has been trained on in the end.
    pipeline_.source(std::vector<Tweet>(1))
        .batch(1)
        .model(net, Collate{learning_.rows})
        .validate()
        .sink([this](const tensair::Validation& one) { report_.trained_on(one.examples_seen); });
  }

  tensair::Pipeline& pipeline_;
  const Arguments& arguments_;
  Report& report_;
  Learning learning_;
  Injection injection_;
  bool automatic_ = arguments_.adapt == "automatic";
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  auto flags = flags_for(arguments);
  tensair::Pipeline pipeline{argc, argv, flags};
  Report report;
  std::unique_ptr<Program> program;

  const int code = pipeline.run([&] {
    check(arguments);
    keep_memory();
    if (arguments.data.empty() && arguments.tcp.empty()) arguments.data = default_data();
    if (arguments.data.empty() && arguments.tcp.empty() && pipeline.options().rank == 0)
      fmt::print(stderr,
                 "no --data, --tcp or TENSAIR_DATA: following generated tweets of two vocabularies that change\n");
    report.add_to(pipeline);
    program = std::make_unique<Program>(pipeline, arguments, report);
    program->build();
  });
  if (code != 0) return code;
  try {
    report.end();
  } catch (const tensair::Error& error) {
    fmt::print(stderr, "sentiment: {}\n", error.what());
    return static_cast<int>(error.exit_code());
  }
  return 0;
}
