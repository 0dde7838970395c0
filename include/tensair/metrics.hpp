#pragma once

/// All metrics: what can be measured of a model, over all examples, a window of the last, or fading.

#include <tensair/metrics/accuracy.hpp>
#include <tensair/metrics/confusion_matrix.hpp>
#include <tensair/metrics/fading.hpp>
#include <tensair/metrics/kappa.hpp>
#include <tensair/metrics/kappa_temporal.hpp>
#include <tensair/metrics/log_loss.hpp>
#include <tensair/metrics/measurement.hpp>
#include <tensair/metrics/metric.hpp>
#include <tensair/metrics/of.hpp>
#include <tensair/metrics/outcome.hpp>
#include <tensair/metrics/precision_recall.hpp>
#include <tensair/metrics/r2.hpp>
#include <tensair/metrics/regression_error.hpp>
#include <tensair/metrics/roc_auc.hpp>
#include <tensair/metrics/sliding.hpp>
