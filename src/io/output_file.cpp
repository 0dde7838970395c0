#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <tensair/error.hpp>
#include <tensair/io/output_file.hpp>

namespace tensair {
namespace {

auto name_of(const std::filesystem::path& path, std::uint64_t number) -> std::filesystem::path {
  return path.parent_path() / fmt::format("{}-{:05}{}", path.stem().string(), number, path.extension().string());
}

// The number behind the highest that is there.
auto next_number(const std::filesystem::path& path) -> std::uint64_t {
  const auto before = path.stem().string() + "-";
  const auto after = path.extension().string();
  std::uint64_t next = 0;
  std::error_code failed;  // a folder that cannot be read shows when the file is made
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  for (auto entry = std::filesystem::directory_iterator(folder, failed);
       !failed && entry != std::filesystem::directory_iterator{}; entry.increment(failed)) {
    const auto name = entry->path().filename().string();
    if (!name.starts_with(before) || !name.ends_with(after) || name.size() <= before.size() + after.size()) continue;
    const auto* const end = name.data() + name.size() - after.size();
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(name.data() + before.size(), end, number);
    if (error == std::errc{} && stop == end) next = std::max(next, number + 1);
  }
  return next;
}

}  // namespace

OutputFile::OutputFile(std::filesystem::path path, Roll roll)
    : path_(std::move(path)), roll_(roll), rolls_(roll.rolls()) {
  if (roll.interval <= Duration::zero())
    throw UsageError("files that roll after no time", path_.string(), "Give Roll::interval some seconds.");
}

OutputFile::~OutputFile() {
  if (file_.is_open() && !part_.empty()) ::unlink(part_.c_str());
}

void OutputFile::open(const Clock& clock, std::string header) {
  clock_ = &clock;
  header_ = std::move(header);
  buffer_.reserve(capacity);
  if (rolls_) number_ = next_number(path_);
  begin_file();
}

void OutputFile::begin_file() {
  target_ = rolls_ ? name_of(path_, number_++) : path_;
  struct stat status {};
  const bool exists = ::stat(target_.c_str(), &status) == 0;
  part_.clear();
  if (!exists || S_ISREG(status.st_mode)) {
    std::error_code failed;
    if (exists) target_ = std::filesystem::canonical(target_, failed);  // replace what a link leads to, not the link
    part_ = target_;
    part_ += ".part";
  }
  const auto& made = part_.empty() ? target_ : part_;
  file_ = FileDescriptor{::open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (!file_.is_open()) fail("a file cannot be made", errno);
  bytes_ = 0;
  begun_ = clock_->now();
  buffer_ += header_;
}

void OutputFile::write_slowly(std::string_view record) {
  if (rolls_) roll_if_old();
  if (buffer_.size() + record.size() > capacity) {
    write_out(buffer_);
    buffer_.clear();
  }
  if (record.size() > capacity) {
    write_out(record);
  } else {
    buffer_ += record;
  }
  if (roll_.bytes > 0 && bytes_ + buffer_.size() >= roll_.bytes) {
    end_file();
    begin_file();
  }
}

void OutputFile::write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file_.number(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("a file cannot be written", errno);
    }
    bytes_ += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void OutputFile::roll_if_old() {
  const bool has_records = bytes_ + buffer_.size() > header_.size();
  if (roll_.interval == Duration::max() || !has_records || clock_->now() - begun_ < roll_.interval) {
    if (!has_records) begun_ = clock_->now();  // it is as old as its first record
    return;
  }
  end_file();
  begin_file();
}

auto OutputFile::deadline() const -> Time {
  const bool has_records = bytes_ + buffer_.size() > header_.size();
  return file_.is_open() && has_records && roll_.interval != Duration::max() ? begun_ + roll_.interval : never;
}

void OutputFile::flush() {
  if (!file_.is_open()) return;
  if (rolls_) roll_if_old();
  if (!part_.empty()) return;  // nobody sees it yet
  write_out(buffer_);
  buffer_.clear();
}

void OutputFile::end_file() {
  write_out(buffer_);
  buffer_.clear();
  if (!part_.empty()) {
    // Before it is renamed: after a power cut the name must not lead to an empty file. Also says late that a disk is
    // full.
    if (::fsync(file_.number()) != 0 && errno != EINVAL && errno != EROFS) fail("a file cannot be written", errno);
    if (::rename(part_.c_str(), target_.c_str()) != 0) fail("a file cannot be replaced", errno);
  }
  file_.close();
}

void OutputFile::close() {
  if (!file_.is_open()) return;
  const bool has_records = bytes_ + buffer_.size() > header_.size();
  if (rolls_ && !has_records) {  // the last one was full, and nothing came behind it
    buffer_.clear();
    ::unlink(part_.c_str());
    file_.close();
    return;
  }
  end_file();
}

void OutputFile::fail(const char* what, int error) const {
  throw Error(fmt::format("{}: {}", what, std::strerror(error)), target_.string(),
              error == ENOSPC || error == EDQUOT ? "Make room on the disk."
              : error == EFBIG                   ? "Raise the limit of a file's size."
                                                 : "Check the folder and its permissions.");
}

}  // namespace tensair
