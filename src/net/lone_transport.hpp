#pragma once

#include <tensair/error.hpp>
#include <tensair/net/transport.hpp>

namespace tensair::net {

/// The transport of a node that is alone: nobody to connect to.
class LoneTransport final : public Transport {
 public:
  void receive(ChannelId, Receiver) override {}
  void on_loss(Loss) override {}
  void connect(const Identity&) override {}
  auto link(Rank) -> Link& override { throw Error("a link was asked for, but there is no other node"); }
  void disconnect() override {}
  void abort(const std::string&) override {}
};

}  // namespace tensair::net
