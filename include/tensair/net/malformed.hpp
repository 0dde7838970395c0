#pragma once

#include <string>
#include <tensair/error.hpp>
#include <utility>

namespace tensair::net {

/// Bytes from the network that no tensair node writes: the connection they came over is of no further use.
class Malformed : public Error {
 public:
  explicit Malformed(std::string failed, std::string place = {}) : Error(std::move(failed), std::move(place)) {}
};

}  // namespace tensair::net
