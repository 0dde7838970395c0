#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tensair/model/delta.hpp>
#include <tensair/net/codec.hpp>

// What is left out is not lost.
//
// A link that compresses sends less than it was given: rounded values, or only the largest. It keeps the difference and
// adds it to the next delta (error feedback: Seide et al., "1-bit stochastic gradient descent", 2014; Karimireddy et
// al., "Error feedback fixes SignSGD", 2019), and sends what is left in full when training ends. So replicas still end
// with the same parameters, and none has more than a delta's worth of anything outstanding. It happens on the link's
// thread, never on a replica's: a step costs the same with it and without.

namespace tensair {

/// One side of one link: makes deltas smaller, and keeps what that left out. One thread at a time.
class Compressor {
 public:
  virtual ~Compressor() = default;

  /// Writes the delta's values, or as much of them as is sent; what has been left out before is sent with them.
  virtual void encode(const Delta& delta, net::Writer& out) = 0;

  /// What has been left out so far, which is then forgotten; null: nothing.
  virtual auto rest() -> SharedDelta = 0;

  /// Values and segments of what `encode` has written, with an owner; contributions are none of its affairs. Allocates
  /// no more than a value of four bytes for each byte it reads.
  /// @throws net::Malformed  what no `encode` writes for a model of so many parameters
  virtual auto decode(net::Reader& in) const -> Delta = 0;
};

/// How deltas are made smaller on links: `ModelOptions::compression`. More than those of this header can be had: any
/// function that makes a `Compressor` for a model of so many parameters, with a name that tells its settings (nodes
/// whose names differ are refused).
struct Compression {
  std::string name{};  ///< empty: values are sent as they are, in float32
  std::function<std::unique_ptr<Compressor>(std::size_t parameters)> make{};
};

/// Half the bytes: IEEE 754's binary16, 11 bits of precision. What is too large for it is sent in several deltas.
///
/// @code
/// auto net = pipeline.model("net", make_net, {.compression = tensair::fp16()});
/// @endcode
auto fp16() -> Compression;

/// Half the bytes: the first half of a float32, 8 bits of precision and its whole range.
auto bf16() -> Compression;

struct TopKOptions {
  double share = 0.01;        ///< of the parameters: how many values a delta has, in (0, 1]
  std::uint64_t warm_up = 0;  ///< so many deltas of a link until then: the share falls from a quarter, evenly in log
};

/// Only the largest values, as binary16: about 3.3 bytes for each of them instead of 4 for each parameter. With
/// `exchange::updates` it is the optimiser's step that is sparsified, momentum included, so that the momentum
/// correction of the paper is not needed (Lin et al., "Deep gradient compression", 2018).
///
/// When not to: on a fast network choosing costs more than sending; and a model of sparse deltas (embeddings) sends
/// little as it is.
/// @throws UsageError  a share outside (0, 1]
///
/// @code
/// auto net = pipeline.model("net", make_net, {.compression = tensair::top_k({.share = 0.02})});
/// @endcode
auto top_k(TopKOptions options = {}) -> Compression;

}  // namespace tensair
