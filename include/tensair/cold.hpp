#pragma once

/// Before a function that runs while a graph is written down or built, or once in a while: the compiler makes it small
/// instead of fast. A unit with streams compiles a fifth sooner for it.
#if defined(__GNUC__)
#define TENSAIR_COLD [[gnu::cold]]
#else
#define TENSAIR_COLD
#endif
