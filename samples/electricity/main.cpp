#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <tensair/io/csv.hpp>
#include <tensair/tensair.hpp>

#include "generated.hpp"
#include "half_hour.hpp"

// Says of each half hour of an electricity market whether its price is above the last day's, is told, and learns.

int main(int argc, char** argv) {
  using electricity::HalfHour;
  std::filesystem::path data;
  if (const auto* folder = std::getenv("TENSAIR_DATA")) data = std::filesystem::path(folder) / "drift" / "elec.csv";
  if (!std::filesystem::exists(data)) data.clear();
  auto flags = tensair::Flags{"electricity", "Learns a stream of an electricity market, row by row."};
  flags.add("--data", data, "CSV file (default: $TENSAIR_DATA/drift/elec.csv; without it, a market is made up)");
  tensair::Pipeline pipeline{argc, argv, flags};

  double accuracy = 0;
  pipeline.figure("prequential_accuracy", [&] { return std::to_string(accuracy); });
  const auto learn = [&](auto half_hours) {
    auto net = pipeline.model("up", [] { return torch::nn::Linear(electricity::inputs, 2); },
                              {.optimizer = tensair::adam({.lr = 0.1})});
    std::move(half_hours)
        .map(electricity::Recent{})
        .batch(32)
        .model(net)
        .evaluate({.outputs = true})  // says what it thinks of each batch, and then learns from it
        .flat_map(tensair::class_outcomes)
        .measure({.every = 10'000}, tensair::metrics::Accuracy{})
        .sink([&](const tensair::Measurement& one) {
          accuracy = one.value;
          std::printf("%lu half hours  accuracy %.4f\n", one.index, one.value);
        });
  };
  return pipeline.run([&] {
    if (data.empty()) return learn(pipeline.source(electricity::Generated{pipeline.options().seed}));
    learn(pipeline.source(tensair::csv<HalfHour>(data, {{"period", &HalfHour::period},
                                                        {"nswprice", &HalfHour::nswprice},
                                                        {"nswdemand", &HalfHour::nswdemand},
                                                        {"vicprice", &HalfHour::vicprice},
                                                        {"vicdemand", &HalfHour::vicdemand},
                                                        {"transfer", &HalfHour::transfer},
                                                        {"class", &HalfHour::up}})));
  });
}
