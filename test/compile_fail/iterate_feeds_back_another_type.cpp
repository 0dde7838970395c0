// error: the feedback has the type of the loop's records
#include <string>
#include <tensair/pipeline.hpp>

void build(tensair::Pipeline& pipeline) {
  pipeline.source(std::vector{1, 2})
      .iterate([](auto loop) {
        auto texts = std::move(loop).map([](int n) { return std::to_string(n); });
        return tensair::Iteration{texts.filter([](const std::string& text) { return text.size() > 1; }), texts};
      })
      .collect();
}
