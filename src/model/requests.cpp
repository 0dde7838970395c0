#include <tensair/model/model_runtime.hpp>

namespace tensair::net {

void Codec<PredictRequest>::write(Writer& out, const PredictRequest& request) {
  out.write(request.number);
  out.write(request.node);
  out.write(request.input);
}

auto Codec<PredictRequest>::read(Reader& in) -> PredictRequest {
  PredictRequest request;
  request.number = in.read<std::uint64_t>();
  request.node = in.read<std::int32_t>();
  request.input = in.read<at::Tensor>();
  return request;
}

void Codec<PredictReply>::write(Writer& out, const PredictReply& reply) {
  out.write(reply.number);
  out.write(reply.replica);
  out.write(reply.version);
  out.write(reply.output);
}

auto Codec<PredictReply>::read(Reader& in) -> PredictReply {
  PredictReply reply;
  reply.number = in.read<std::uint64_t>();
  reply.replica = in.read<std::int32_t>();
  reply.version = in.read<std::uint64_t>();
  reply.output = in.read<at::Tensor>();
  return reply;
}

}  // namespace tensair::net
