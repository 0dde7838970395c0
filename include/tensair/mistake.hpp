#pragma once

namespace tensair::detail {

/// Whatever is given to an operator that follows on a mistake.
struct Anything {
  template <class T>
  Anything(T&&) {}  // NOLINT(google-explicit-constructor): takes arguments as they are
};

/// What an operator returns when its arguments are wrong, after the error that says so: whatever follows in the chain
/// compiles, so that it adds no errors of its own. Only its types are used; nothing of it ever runs.
class Mistake {
 public:
#define TENSAIR_ACCEPT(operation)                                                                    \
  template <class...>                                                                                \
  auto operation(const Anything& = 0, const Anything& = 0, const Anything& = 0, const Anything& = 0, \
                 const Anything& = 0) const->Mistake {                                               \
    return {};                                                                                       \
  }
  // of streams
  TENSAIR_ACCEPT(map)
  TENSAIR_ACCEPT(filter)
  TENSAIR_ACCEPT(flat_map)
  TENSAIR_ACCEPT(async_map)
  TENSAIR_ACCEPT(batch)
  TENSAIR_ACCEPT(assign_timestamps)
  TENSAIR_ACCEPT(key_by)
  TENSAIR_ACCEPT(merge)
  TENSAIR_ACCEPT(broadcast_join)
  TENSAIR_ACCEPT(iterate)
  TENSAIR_ACCEPT(rebalance)
  TENSAIR_ACCEPT(broadcast)
  TENSAIR_ACCEPT(inspect)
  TENSAIR_ACCEPT(measure)
  TENSAIR_ACCEPT(project)
  TENSAIR_ACCEPT(split)
  TENSAIR_ACCEPT(output)
  TENSAIR_ACCEPT(parallel)
  TENSAIR_ACCEPT(compress)
  TENSAIR_ACCEPT(name)
  TENSAIR_ACCEPT(on_error)
  TENSAIR_ACCEPT(sink)
  TENSAIR_ACCEPT(collect)
  TENSAIR_ACCEPT(model)
  // of keyed streams, windows and joins
  TENSAIR_ACCEPT(time_to_live)
  TENSAIR_ACCEPT(aggregate)
  TENSAIR_ACCEPT(reduce)
  TENSAIR_ACCEPT(count)
  TENSAIR_ACCEPT(sum)
  TENSAIR_ACCEPT(min)
  TENSAIR_ACCEPT(max)
  TENSAIR_ACCEPT(mean)
  TENSAIR_ACCEPT(top_k)
  TENSAIR_ACCEPT(distinct)
  TENSAIR_ACCEPT(with_state)
  TENSAIR_ACCEPT(process)
  TENSAIR_ACCEPT(window)
  TENSAIR_ACCEPT(allowed_lateness)
  TENSAIR_ACCEPT(late)
  TENSAIR_ACCEPT(early)
  TENSAIR_ACCEPT(discarding)
  TENSAIR_ACCEPT(join)
  TENSAIR_ACCEPT(between)
  TENSAIR_ACCEPT(with)
  TENSAIR_ACCEPT(left_outer)
  TENSAIR_ACCEPT(right_outer)
  TENSAIR_ACCEPT(full_outer)
  TENSAIR_ACCEPT(co_group)
  TENSAIR_ACCEPT(lookup)
  TENSAIR_ACCEPT(as_of_event_time)
  TENSAIR_ACCEPT(delete_when)
#undef TENSAIR_ACCEPT
};

}  // namespace tensair::detail
