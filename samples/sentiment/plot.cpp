#include "plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace sentiment {
namespace {

constexpr double width = 960, height = 360, left = 60, right = 20, top = 40, bottom = 50;

class Drawing {
 public:
  explicit Drawing(std::uint64_t end) : end_(std::max<double>(static_cast<double>(end), 1)) {}

  auto x(std::uint64_t at) const -> double { return left + (width - left - right) * static_cast<double>(at) / end_; }
  static auto y(double accuracy) -> double { return height - bottom - (height - top - bottom) * accuracy; }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }
  void line(std::uint64_t at, std::string_view style) {
    add(R"(<line x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}" {3}/>)", x(at), y(1), y(0), style);
  }
  auto text() && -> std::string { return std::move(text_); }

 private:
  double end_;
  std::string text_;
};

constexpr std::string_view changed = R"(stroke="#555" stroke-width="1" stroke-dasharray="2 3")";
constexpr std::string_view drifted = R"(stroke="#c00" stroke-width="1.5")";
constexpr std::string_view trained = R"(fill="#d9ead3")";

void add_axes(Drawing& drawing, std::uint64_t end) {
  for (int percent = 0; percent <= 100; percent += 20) {
    const auto y = Drawing::y(percent / 100.0);
    drawing.add(R"(<line x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>)", left, width - right,
                fmt::arg("y", y));
    drawing.add(R"(<text x="{}" y="{:.1f}" text-anchor="end">{} %</text>)", left - 6, y + 4, percent);
  }
  constexpr std::uint64_t parts = 6;
  for (std::uint64_t i = 0; i <= parts; ++i) {
    const auto at = end * i / parts;
    drawing.add(R"(<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>)", drawing.x(at), height - bottom + 18, at);
  }
  drawing.add(R"(<text x="{}" y="{}" text-anchor="middle">tweets</text>)", (left + width - right) / 2, height - 10);
}

void add_legend(Drawing& drawing) {
  double x = left;
  const auto next = [&](auto draw, std::string_view what) {
    draw(x);
    drawing.add(R"(<text x="{}" y="24">{}</text>)", x + 30, what);
    x += 50 + 7 * static_cast<double>(what.size());
  };
  const auto line = [&](std::string_view style) {
    return [&drawing, style](double at) {
      drawing.add(R"(<line x1="{}" x2="{}" y1="20" y2="20" {}/>)", at, at + 24, style);
    };
  };
  next(line(R"(stroke="#1f4e9c" stroke-width="1.5")"), "accuracy, last 1,000");
  next(line(drifted), "drift found");
  next(line(changed), "drift put in");
  next([&](double at) { drawing.add(R"(<rect x="{}" y="13" width="24" height="14" {}/>)", at, trained); }, "training");
}

}  // namespace

auto svg_of(const Plot& plot) -> std::string {
  Drawing drawing{plot.end};
  drawing.add(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" font-family="sans-serif" font-size="12">)",
      width, height);
  drawing.add(R"(<title>Accuracy over time</title>)");
  drawing.add(R"(<rect width="100%" height="100%" fill="white"/>)");
  for (const auto& [from, to] : plot.training) {
    drawing.add(R"(<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" {}/>)", drawing.x(from), Drawing::y(1),
                drawing.x(to) - drawing.x(from), Drawing::y(0) - Drawing::y(1), trained);
  }
  add_axes(drawing, plot.end);
  for (const auto at : plot.changes) drawing.line(at, changed);
  for (const auto at : plot.drifts) drawing.line(at, drifted);
  std::string points;
  for (const auto& [at, accuracy] : plot.accuracy)
    fmt::format_to(std::back_inserter(points), "{:.1f},{:.1f} ", drawing.x(at), Drawing::y(accuracy));
  drawing.add(R"(<polyline fill="none" stroke="#1f4e9c" stroke-width="1.5" points="{}"/>)", points);
  add_legend(drawing);
  drawing.add("</svg>");
  return std::move(drawing).text();
}

}  // namespace sentiment
