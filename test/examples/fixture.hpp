#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tensair/drift/detectors.hpp>
#include <tensair/io/discard.hpp>
#include <tensair/io/files.hpp>
#include <tensair/io/lines.hpp>
#include <tensair/io/to_lines.hpp>
#include <tensair/metrics.hpp>
#include <tensair/pipeline.hpp>
#include <utility>
#include <vector>

// What the examples in the headers' comments speak of: a shop with visitors, and the thermometers in its cold store.
// All is declared only, for nothing of it runs.

namespace examples {

using namespace std::chrono_literals;

struct Click {
  std::string user, page;
  long ad = 0;
  tensair::EventTime when;
};
struct View {
  long ad = 0;
  tensair::EventTime when;
};
struct Order {
  long id = 0;
  std::string customer, currency;
  long cents = 0;
  tensair::EventTime when;
};
struct Payment {
  long order = 0;
  std::string country;
  long cents = 0;
  tensair::EventTime when;
};
struct Rate {
  std::string currency;
  double factor = 0;
  tensair::EventTime when;
};
struct Profile {
  std::string user, country;
  tensair::EventTime when;
};
struct Rule {
  std::string country;
  long most_cents = 0;
  auto forbids(const Payment& payment) const -> bool;
};
struct Reading {
  std::string sensor;
  double celsius = 0;
  tensair::EventTime when;
};
/// What a thermometer shows, and what had been foretold.
struct Forecast {
  std::string sensor;
  double truth = 0, prediction = 0;
};

extern tensair::Pipeline pipeline;

extern decltype(pipeline.source(tensair::lines("readings.txt"))) log_lines;
extern decltype(pipeline.source(std::vector<std::string>{})) words;
extern decltype(pipeline.source(std::vector<Rule>{})) rules;
extern decltype(pipeline.source(std::vector<Forecast>{})) forecasts;

/// A stream with event time.
template <class T>
using Timed = decltype(pipeline.source(std::vector<T>{}).assign_timestamps(&T::when));
extern Timed<Click> clicks;
extern Timed<View> views;
extern Timed<Order> orders;
extern Timed<Payment> payments;
extern Timed<Rate> rates;
extern Timed<Profile> profiles;
extern Timed<Reading> readings;

/// An aggregate: how far apart the temperatures of a sensor are.
struct Spread {
  auto init() const -> std::pair<double, double>;
  void add(std::pair<double, double>& value, const Reading& one) const;
  void merge(std::pair<double, double>& value, std::pair<double, double> other) const;
  auto result(const std::pair<double, double>& value) const -> double;
};

/// Takes anything.
inline constexpr auto print = [](const auto&...) {};

auto split(std::string_view line) -> std::vector<std::string>;
auto parse(std::string_view line) -> Reading;
auto is_error(std::string_view line) -> bool;

/// A service that answers later.
struct Translator {
  void ask(const std::string& word, std::function<void(std::string)> answered);
};
extern Translator translator;

// As main has them.
extern int argc;
extern char** argv;

}  // namespace examples
