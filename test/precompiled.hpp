#pragma once

// What nearly every test of streams includes, compiled once for all of them.

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tensair/pipeline.hpp>
#include <tensair/testing/cluster.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "catch.hpp"
