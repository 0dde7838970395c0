#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <tensair/drift/detector.hpp>
#include <tensair/net/bytes.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace tensair::drift {

namespace detail {

/// A function of a value that says whether it is a drift, or what level it is.
template <class F>
concept Judge = std::copy_constructible<F> && requires(F judge, double value) {
  requires std::same_as < std::invoke_result_t<F&, double>,
  bool > || std::same_as<std::invoke_result_t<F&, double>, DriftLevel>;
};

/// Whether two detectors were made alike. Of those whose parameters cannot be looked at one by one, that is believed.
template <class D>
auto same_parameters(const D& one, const D& other) -> bool {
  std::vector<double> values[2];
  if constexpr (requires { one.parameters(); }) {
    using P = std::remove_cvref_t<decltype(one.parameters())>;
    const auto collect = [](const P& parameters, std::vector<double>& into) {
      const auto each = [&](std::string_view, auto value, auto&&...) { into.push_back(static_cast<double>(value)); };
      if constexpr (requires { P::each(parameters, each); }) P::each(parameters, each);
    };
    collect(one.parameters(), values[0]);
    collect(other.parameters(), values[1]);
  }
  return values[0] == values[1];
}

}  // namespace detail

/// Any detector, where which one is decided by who runs the program: made of a detector's parameters, of a detector,
/// or of a function `(double) -> bool` (whether that is a drift) or `(double) -> DriftLevel`. A copy has the same state
/// and goes on by itself.
///
/// @code
/// tensair::drift::AnyDetector detector = [](double loss) { return loss > 1; };  // or tensair::adwin{.delta = 0.01}
/// if (detector.update(0.7) == tensair::DriftLevel::drift) std::puts("it has changed");
/// @endcode
class AnyDetector {
 public:
  /// None: it must not be updated.
  AnyDetector() = default;
  /// @throws UsageError  a parameter is outside its range
  template <Parameters P>
  AnyDetector(P parameters)  // NOLINT(google-explicit-constructor)
      : AnyDetector(typename P::Detector{std::move(parameters)}) {}
  // Whether it is itself is asked first: whether `AnyDetector` is copyable must not depend on whether it is.
  template <class D>
  requires(!std::same_as<D, AnyDetector> && Detector<D>) AnyDetector(D detector)  // NOLINT(google-explicit-constructor)
      : held_(std::make_unique<Of<D>>(std::move(detector))) {}
  template <class F>
  requires(!std::same_as<F, AnyDetector> && detail::Judge<F>)
      AnyDetector(F judge)  // NOLINT(google-explicit-constructor)
      : held_(std::make_unique<Of<Judged<F>>>(Judged<F>{judge, judge})) {}

  AnyDetector(const AnyDetector& other) : held_(other.held_ ? other.held_->copy() : nullptr) {}
  auto operator=(const AnyDetector& other) -> AnyDetector& {
    if (this != &other) held_ = other.held_ ? other.held_->copy() : nullptr;
    return *this;
  }
  AnyDetector(AnyDetector&&) noexcept = default;
  auto operator=(AnyDetector&&) noexcept -> AnyDetector& = default;
  ~AnyDetector() = default;

  explicit operator bool() const { return held_ != nullptr; }

  /// @throws BadValue  the value is outside the detector's domain
  auto update(double value) -> DriftLevel { return held_->update(value); }
  /// Forgets all values.
  void reset() { held_->reset(); }
  /// Of the test, when it last signalled; 0 of a function.
  auto statistic() const -> double { return held_->statistic(); }
  /// What it remembers, as bytes for `restore`. Of a function nothing: what it keeps is not known.
  auto state() const -> std::string { return held_ ? held_->state() : std::string{}; }
  /// Goes on from what `state` returned, of a detector of the same kind and parameters. From nothing, or from the state
  /// of one with other parameters or of another version, it begins anew.
  /// @throws Error  it is damaged
  void restore(std::string_view state) { held_->restore(state); }
  /// The detector's, or "function"; "none" without one.
  auto name() const -> std::string { return held_ ? std::string{held_->name()} : "none"; }

 private:
  struct Held {
    virtual ~Held() = default;
    virtual auto copy() const -> std::unique_ptr<Held> = 0;
    virtual auto update(double value) -> DriftLevel = 0;
    virtual void reset() = 0;
    virtual auto statistic() const -> double = 0;
    virtual auto state() const -> std::string = 0;
    virtual void restore(std::string_view state) = 0;
    virtual auto name() const -> std::string_view = 0;
  };

  template <class D>
  struct Of final : Held {
    explicit Of(D one) : detector(std::move(one)) {}
    auto copy() const -> std::unique_ptr<Held> override { return std::make_unique<Of>(detector); }
    auto update(double value) -> DriftLevel override { return detector.update(value); }
    void reset() override { detector.reset(); }
    auto statistic() const -> double override { return detector.statistic(); }
    auto state() const -> std::string override {
      if constexpr (net::detail::HasSerialize<D>) return net::to_bytes(detector);
      return {};
    }
    void restore(std::string_view state) override {
      detector.reset();
      if constexpr (net::detail::HasSerialize<D>) {
        if (state.empty()) return;
        try {
          auto restored = net::from_bytes<D>(state);
          if (detail::same_parameters(restored, detector)) detector = std::move(restored);
        } catch (const BadState&) {
          return;  // another version's: it begins anew
        }
      }
    }
    auto name() const -> std::string_view override { return D::name; }
    D detector;
  };

  // A function may keep state in its captures: forgetting is going back to the copy that was given.
  template <class F>
  struct Judged {
    static constexpr std::string_view name = "function";
    std::shared_ptr<F> keep_original, now;
    Judged(const F& original, const F& current)
        : keep_original(std::make_shared<F>(original)), now(std::make_shared<F>(current)) {}
    Judged(const Judged& other) : Judged(*other.keep_original, *other.now) {}
    auto operator=(const Judged&) -> Judged& = delete;
    auto update(double value) -> DriftLevel {
      const auto said = (*now)(value);
      if constexpr (std::same_as<std::remove_const_t<decltype(said)>, bool>) {
        return said ? DriftLevel::drift : DriftLevel::none;
      } else {
        return said;
      }
    }
    void reset() { now = std::make_shared<F>(*keep_original); }
    auto statistic() const -> double { return 0; }
  };

  std::unique_ptr<Held> held_;
};

}  // namespace tensair::drift
