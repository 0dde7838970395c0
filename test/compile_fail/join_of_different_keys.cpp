// error: both streams must have keys of one type
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  auto texts = pipeline.source(std::vector<std::string>{"1"}).key_by([](const std::string& text) { return text; });
  pipeline.source(std::vector{1}).key_by([](int n) { return n; }).join(std::move(texts));
}
