#include <cerrno>
#include <cstring>
#include <tensair/error.hpp>
#include <tensair/io/json_lines.hpp>

namespace tensair {

void LineFile::open() {
  file_.reset(std::fopen(path_.c_str(), "wb"));
  if (!file_)
    throw Error(std::string("a file cannot be made: ") + std::strerror(errno), path_.string(),
                "Check the folder and its permissions.");
}

void LineFile::write(const std::string& line) {
  check(std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() && std::fputc('\n', file_.get()) != EOF);
}

void LineFile::flush() {
  if (file_) check(std::fflush(file_.get()) == 0);
}

void LineFile::close() {
  flush();
  if (file_) check(std::fclose(file_.release()) == 0);
}

void LineFile::check(bool good) {
  if (!good)
    throw Error(std::string("a file cannot be written: ") + std::strerror(errno), path_.string(),
                "Make room on the disk.");
}

}  // namespace tensair
