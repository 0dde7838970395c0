#pragma once

#include <string>

namespace tensair {

/// Where a replica computes: "cpu", or one device with its number.
/// @param wanted   as `ModelOptions::device` says it
/// @param replica  which of its node's, from 0
/// @throws Error  there is no such device
auto device_of(const std::string& wanted, int replica, const std::string& model) -> std::string;

}  // namespace tensair
