// The labels of the cifar10 sample's stream, when it drifts.

#include "catch.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cifar10/source.hpp"

namespace {

auto images_of_all_classes() {
  auto images = std::make_shared<std::vector<cifar10::Image>>(10);
  for (std::uint8_t label = 0; label < 10; ++label) {
    (*images)[label].label = label;
    (*images)[label].pixels.fill(label);  // by which it is known again
  }
  return images;
}

/// What each class is called in the stream's part from `begin` to `end`: a digit a class, each of which is there.
auto names(int parts, std::size_t begin, std::size_t end) -> std::string {
  std::string text(10, '?');
  for (int part = 0; part < parts; ++part) {
    cifar10::ShuffledImages source{images_of_all_classes(), 1, 6, 20};
    source.split(part, parts);
    for (auto at = static_cast<std::size_t>(part); const auto image = source.next();
         at += static_cast<std::size_t>(parts)) {
      if (at >= begin && at < end) text[image->pixels[0]] = static_cast<char>('0' + image->label);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("two labels change places after every so many images, whoever reads them", "[cifar10]") {
  for (const int parts : {1, 2, 3}) {
    CHECK(names(parts, 0, 20) == "0123456789");
    CHECK(names(parts, 20, 40) == "1023456789");
    CHECK(names(parts, 40, 60) == "1203456789");  // those of classes 1 and 2
  }
}
