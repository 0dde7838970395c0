// error: key_by\(f\): f takes a record of this stream and returns its key, which has == and a std::hash
#include <tensair/pipeline.hpp>

struct Unhashed {
  int n;
  bool operator==(const Unhashed&) const = default;
};

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2}).key_by([](int n) { return Unhashed{n}; }).count().collect();
}
