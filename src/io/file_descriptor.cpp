#include <unistd.h>

#include <tensair/io/file_descriptor.hpp>

namespace tensair {

void FileDescriptor::close() {
  if (is_open()) ::close(std::exchange(number_, none));
}

}  // namespace tensair
