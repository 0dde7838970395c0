#include "cluster_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tensair/error.hpp>
#include <utility>

#include "placement.hpp"
#include "read_file.hpp"

namespace tensair::detail {
namespace {

using nlohmann::json;

constexpr auto form = R"(Write {"nodes": [{"address": "host:port", "workers": 8, "labels": ["gpu"]}, …]}.)";

class ClusterFileReader {
 public:
  explicit ClusterFileReader(const std::filesystem::path& file) : file_(file.string()) {}

  auto read() -> ClusterFile {
    const json document = parse();
    if (!document.is_object() || !document.contains("nodes") || !document["nodes"].is_array())
      throw wrong("has no list of nodes", file_);
    only_keys(document, {"nodes"}, file_);
    const auto& nodes = document["nodes"];
    if (nodes.empty()) throw wrong("has no nodes", file_);
    if (nodes.size() > most_nodes)
      throw wrong(fmt::format("lists {} nodes; the limit is {}", nodes.size(), most_nodes), file_);
    ClusterFile cluster;
    for (std::size_t i = 0; i < nodes.size(); ++i) add_node(cluster, nodes[i], fmt::format("{}, node {}", file_, i));
    return cluster;
  }

 private:
  static auto wrong(const std::string& what, const std::string& where) -> UsageError {
    return UsageError{"the cluster file " + what, where, form};
  }

  auto parse() const -> json {
    const auto text = read_file(file_, "the cluster file", form);
    try {
      return json::parse(text);
    } catch (const json::parse_error& error) {
      const auto before = text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size()));
      const auto line = 1 + std::count(text.begin(), before, '\n');
      throw wrong("is not JSON", fmt::format("{}:{}", file_, line));
    }
  }

  static void only_keys(const json& object, const std::vector<std::string>& known, const std::string& where) {
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        throw wrong(fmt::format("says '{}', which is not known", key), where);
    }
  }

  static void add_node(ClusterFile& cluster, const json& node, const std::string& where) {
    if (!node.is_object()) throw wrong("has a node that is no object", where);
    only_keys(node, {"address", "workers", "labels"}, where);
    if (!node.contains("address") || !node["address"].is_string()) throw wrong("has a node without an address", where);
    auto address = node["address"].get<std::string>();
    check_address(where, address);
    const auto same = std::find(cluster.addresses.begin(), cluster.addresses.end(), address);
    if (same != cluster.addresses.end())
      throw wrong(fmt::format("gives the address {} of node {} once more", address, same - cluster.addresses.begin()),
                  where);
    NodeSpec spec;
    if (node.contains("workers")) {
      const auto& workers = node["workers"];
      if (!workers.is_number_integer() || workers < 1 || workers > most_threads)
        throw wrong(fmt::format("has {} workers, not a whole number from 1 to {}", workers.dump(), most_threads),
                    where);
      spec.workers = workers.get<int>();
    }
    if (node.contains("labels")) {
      const auto& labels = node["labels"];
      const auto is_text = [](const json& label) { return label.is_string(); };
      if (!labels.is_array() || !std::all_of(labels.begin(), labels.end(), is_text))
        throw wrong("has labels that are no list of texts", where);
      spec.labels = labels.get<std::vector<std::string>>();
    }
    cluster.addresses.push_back(std::move(address));
    cluster.specs.push_back(std::move(spec));
  }

  std::string file_;
};

}  // namespace

auto read_cluster_file(const std::filesystem::path& file) -> ClusterFile {
  return ClusterFileReader{file}.read();
}

}  // namespace tensair::detail
