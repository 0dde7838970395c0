#pragma once

/// Streams, models, metrics, files and JSON lines. Detectors of drift and the other sources and sinks have a header
/// each, in `tensair/drift/` and `tensair/io/`. A program that only streams can include `<tensair/pipeline.hpp>`
/// instead, which needs no LibTorch.

#include <tensair/error.hpp>
#include <tensair/flags.hpp>
#include <tensair/io/files.hpp>
#include <tensair/io/json_lines.hpp>
#include <tensair/io/progress.hpp>
#include <tensair/metrics.hpp>
#include <tensair/model/keyed_model_stream.hpp>
#include <tensair/model/model.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/stream.hpp>
