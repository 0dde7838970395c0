#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "catch.hpp"

namespace tensair::test {

/// Makes `number` stand for another file while it lives.
class Redirected {
 public:
  Redirected(int number, int file) : number_(number), before_(fcntl(number, F_DUPFD_CLOEXEC, 3)) {
    REQUIRE(dup2(file, number) == number);
  }
  Redirected(const Redirected&) = delete;
  auto operator=(const Redirected&) -> Redirected& = delete;
  ~Redirected() {
    dup2(before_, number_);
    close(before_);
  }

 private:
  int number_, before_;
};

}  // namespace tensair::test
