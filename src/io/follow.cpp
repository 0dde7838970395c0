#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <tensair/io/follow.hpp>

namespace tensair {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw Error(fmt::format("a file that is followed cannot be read: {}", std::strerror(error)), path.string(),
              "Check that it is a file and may be read.");
}

}  // namespace

Follow::Follow(std::filesystem::path path, FollowOptions options)
    : path_(std::move(path)), options_(options), splitter_(options.max_line) {
  if (options.interval <= Duration::zero())
    throw UsageError("follow with an interval that is not positive", path_.string(), "Give it some milliseconds.");
}

auto Follow::poll() -> Poll<std::string_view> {
  using Answer = Poll<std::string_view>;
  if (auto found = line()) return *found;
  while (true) {
    if (!file_.is_open()) open_file();
    if (file_.is_open()) {
      if (read_more()) {
        quiet_since_.reset();
        last_look_ = false;
        if (auto found = line()) return *found;
        continue;
      }
      if (truncated()) {
        ::lseek(file_.number(), 0, SEEK_SET);
        splitter_.clear();
        continue;
      }
      if (replaced()) {
        // Once more: between the look at its end and now somebody may have written its last lines.
        if (!std::exchange(last_look_, true)) continue;
        last_look_ = false;
        file_.close();
        if (const auto rest = line(true)) return *rest;
        continue;
      }
    }
    const Time now = clock_->now();
    if (!quiet_since_) quiet_since_ = now;
    if (options_.end_after != Duration::max() && now - *quiet_since_ >= options_.end_after) {
      if (const auto rest = line(true)) return *rest;
      return Answer::end();
    }
    return Answer::wait(now + options_.interval);
  }
}

// The next whole line; with `ended`, what is left instead.
auto Follow::line(bool ended) -> std::optional<std::string_view> {
  while (true) {
    auto found = ended ? splitter_.rest() : splitter_.next();
    if (splitter_.too_long()) {
      throw BadRecord(fmt::format("a line is longer than {} bytes", options_.max_line),
                      fmt::format("{}, line {}", path_.string(), splitter_.lines()),
                      "Raise max_line, or check that this is text.", splitter_.beginning());
    }
    if (found && found->ends_with('\r')) found->remove_suffix(1);
    if (found || !splitter_.pending()) return found;
  }
}

auto Follow::read_more() -> bool {
  const auto room = splitter_.room();
  while (true) {
    const auto bytes = ::read(file_.number(), room.data(), room.size());
    if (bytes > 0) splitter_.filled(static_cast<std::size_t>(bytes));
    if (bytes >= 0) return bytes > 0;
    if (errno != EINTR) fail(path_, errno);
  }
}

auto Follow::truncated() const -> bool {
  struct stat status {};
  if (::fstat(file_.number(), &status) != 0) fail(path_, errno);
  return status.st_size < ::lseek(file_.number(), 0, SEEK_CUR);
}

auto Follow::replaced() const -> bool {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return false;  // gone, and no other in its place yet
  return status.st_dev != device_ || status.st_ino != inode_;
}

void Follow::open_file() {
  file_ = FileDescriptor{::open(path_.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file_.is_open()) {
    if (errno == ENOENT) {
      first_ = false;  // what appears later is new from its start
      return;
    }
    fail(path_, errno);
  }
  struct stat status {};
  if (::fstat(file_.number(), &status) != 0) fail(path_, errno);
  if (!S_ISREG(status.st_mode)) fail(path_, S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  off_t from = 0;
  std::uint64_t lines = 0;
  if (sought_ && sought_->device == device_ && sought_->inode == inode_ &&
      static_cast<std::uint64_t>(status.st_size) >= sought_->byte) {
    from = static_cast<off_t>(sought_->byte);
    lines = sought_->line;
  } else if (first_ && !sought_ && options_.from_end) {
    from = status.st_size;
  }
  sought_.reset();
  first_ = false;
  if (::lseek(file_.number(), from, SEEK_SET) < 0) fail(path_, errno);
  splitter_.clear(static_cast<std::uint64_t>(from), lines);
}

}  // namespace tensair
