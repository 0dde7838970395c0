#include <fmt/format.h>

#include <tensair/io/files.hpp>

namespace tensair {
namespace {

auto matches(const char* text, const char* pattern) -> bool {
  if (*pattern == '\0') return *text == '\0';
  if (*pattern == '*') return matches(text, pattern + 1) || (*text != '\0' && matches(text + 1, pattern));
  return *text == *pattern && matches(text + 1, pattern + 1);
}

}  // namespace

auto find_files(const std::filesystem::path& folder, const std::string& pattern) -> std::vector<std::filesystem::path> {
  if (!std::filesystem::is_directory(folder))
    throw Error("a folder does not exist", folder.string(), "Check the path.");
  std::vector<std::filesystem::path> found;
  std::error_code failed;
  for (auto entry = std::filesystem::directory_iterator(folder, failed);
       !failed && entry != std::filesystem::directory_iterator{}; entry.increment(failed)) {
    if (entry->is_regular_file() && matches(entry->path().filename().c_str(), pattern.c_str()))
      found.push_back(entry->path());
  }
  if (failed) throw Error("a folder cannot be read: " + failed.message(), folder.string(), "Check its permissions.");
  if (found.empty())
    throw Error(fmt::format("a folder holds no file «{}»", pattern), folder.string(), "Check the path.");
  std::sort(found.begin(), found.end());
  return found;
}

auto read_line(std::istream& stream) -> std::optional<std::string> {
  std::string line;
  if (!std::getline(stream, line)) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace tensair
