#include "replace_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <tensair/error.hpp>

namespace tensair {
namespace {

void write(const std::filesystem::path& to, std::string_view bytes, const std::filesystem::path& file) {
  errno = 0;
  std::ofstream out(to, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) {
    throw Error(std::string("a file cannot be written: ") + std::strerror(errno), file.string(),
                "Check the folder, its permissions, and the room on the disk.");
  }
}

}  // namespace

void replace_file(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code ignored;  // not being able to look means not being there
  if (std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored)) {
    write(file, bytes, file);
    return;
  }
  // Through a link, the file it leads to is replaced, not the link.
  auto target = std::filesystem::weakly_canonical(file, ignored);
  if (ignored) target = file;
  auto part = target;
  part += ".part";
  write(part, bytes, file);
  std::error_code failed;
  std::filesystem::rename(part, target, failed);
  if (failed)
    throw Error("a file cannot be replaced: " + failed.message(), file.string(),
                "Check the folder and its permissions.");
}

void check_replaceable(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    throw UsageError("a file is wanted, and this is a folder", file.string(), "Name a file.");
  const auto folder = std::filesystem::absolute(file, ignored).parent_path();
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw UsageError("the folder of a file to write does not exist", file.string(), "Make it, or name another file.");
  }
}

}  // namespace tensair
