#include "model/device_of.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <tensair/error.hpp>

#include "device_name.hpp"

namespace tensair {

auto device_of(const std::string& wanted, int replica, const std::string& model) -> std::string {
  if (wanted.empty() || wanted == "cpu") return "cpu";
  if (wanted == detail::cpu_as_device) return wanted;
  const auto count = static_cast<int>(torch::cuda::device_count());
  if (wanted == "auto" && count == 0) return "cpu";
  if (count == 0) {
    throw Error(fmt::format("model «{}» is to compute on {}, and this node has no GPU that its LibTorch can use", model,
                            wanted),
                "ModelOptions::device", "Link a LibTorch with CUDA and check the driver, or say cpu or auto.");
  }
  if (wanted == "auto" || wanted == "cuda") return fmt::format("cuda:{}", replica % count);
  const int number = std::stoi(wanted.substr(wanted.find(':') + 1));
  if (number >= count) {
    throw Error(fmt::format("model «{}» is to compute on {}, and this node has {}", model, wanted,
                            count == 1 ? "one GPU, cuda:0" : fmt::format("{} GPUs, from cuda:0 on", count)),
                "ModelOptions::device", "Name one of them, or let cuda or auto choose.");
  }
  return fmt::format("cuda:{}", number);
}

}  // namespace tensair
