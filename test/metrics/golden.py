"""Writes golden.hpp: what scikit-learn and River say of the streams that streams.hpp makes too.

    pip install scikit-learn river && python test/metrics/golden.py > test/metrics/golden.hpp

Both sides draw the same numbers (Knuth's linear congruential generator), and all values are exact in floating point or
one division of such. The streams drift in the middle and are imbalanced.
"""

import sys
import warnings

import numpy as np
import river
import sklearn
from river import metrics as rm
from river import utils
from sklearn import metrics as sk

warnings.filterwarnings("ignore")
EXAMPLES, WINDOW, FADING = 20_000, 500, 0.995
POINTS = [1, 100, 500, 501, 10_000, 12_345, 20_000]


class Draw:
    def __init__(self, seed):
        self.state = seed

    def __call__(self, below):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % below


def classes():
    """Runs of three classes of which one is frequent; a fourth is only ever predicted."""
    draw, last = Draw(1), 0
    for i in range(EXAMPLES):
        drifted = i >= EXAMPLES // 2
        if draw(10) >= 7:
            u = draw(100)
            last = (2 if u < 70 else 0) if drifted else (0 if u < 90 else 1 if u < 98 else 2)
        right = draw(100) < (55 if drifted else 80)
        yield last, last if right else draw(4)


def scores():
    """Few positives; scores in 1,024ths, so many are equal; the drift makes them worse than chance."""
    draw = Draw(2)
    for i in range(EXAMPLES):
        truth = 1 if draw(10) < 2 else 0
        higher = (truth == 1) != (i >= EXAMPLES // 2)
        yield truth, (draw(700) + (324 if higher else 0)) / 1024


def probabilities():
    draw = Draw(3)
    for i in range(EXAMPLES):
        truth = 0 if draw(10) < 8 else 1 + draw(2)
        parts = [1 + draw(100) for _ in range(3)]
        parts[truth] += 20 if i >= EXAMPLES // 2 else 150
        yield truth, [part / sum(parts) for part in parts]


def numbers():
    draw = Draw(4)
    for i in range(EXAMPLES):
        truth = (draw(2000) - 1000) / 64 + (100 if i >= EXAMPLES // 2 else 0)
        yield truth, truth + (draw(400) - 150) / 128


def row(name, how, at, value, by):
    print(f'    {{"{name}", "{how}", {at}, {float(value)!r}, "{by}"}},')


def by_sklearn(name, stream, measure):
    truth, said = map(np.array, zip(*stream))
    for at in POINTS:
        every = slice(0, at)
        last = slice(max(0, at - WINDOW), at)
        weights = FADING ** np.arange(at - 1, -1, -1.0)
        for how, part, w in [("all", every, None), ("sliding", last, None), ("fading", every, weights)]:
            try:
                value = measure(truth[part], said[part], w)
            except ValueError:
                continue
            if not np.isnan(value):
                row(name, how, at, value, "scikit-learn")


def by_river(name, stream, metric, how="all", defined=1):
    """From the example on with which it is defined: before that, River says 0."""
    for at, (truth, said) in enumerate(stream, 1):
        metric.update(truth, said)
        if at in POINTS and at >= defined:
            row(name, how, at, metric.get(), "River")


def kappa(t, p, w):
    return sk.cohen_kappa_score(t, p, sample_weight=w) if len(set(t) | set(p)) > 1 else float("nan")


def area(t, p, w):
    return sk.roc_auc_score(t, p, sample_weight=w) if len(set(t)) > 1 else float("nan")


def r2(t, p, w):
    return sk.r2_score(t, p, sample_weight=w) if len(set(t)) > 1 else float("nan")


print(f"""#pragma once

// Written by golden.py: scikit-learn {sklearn.__version__}, River {river.__version__}, numpy {np.__version__}, Python {sys.version.split()[0]}.

#include <cstddef>

namespace tensair::test {{

struct MetricGolden {{
  const char *metric, *over;
  std::size_t at;
  double value;
  const char* by;
}};

inline constexpr std::size_t metric_golden_window = {WINDOW};
inline constexpr double metric_golden_fading = {FADING};

// clang-format off
inline constexpr MetricGolden metric_golden[] = {{""")
by_sklearn("accuracy", classes(), lambda t, p, w: sk.accuracy_score(t, p, sample_weight=w))
by_sklearn("kappa", classes(), kappa)
for average in ["macro", "weighted", "micro"]:
    for name, f in [("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)]:
        by_sklearn(f"{name} ({average})", classes(), lambda t, p, w: f(t, p, average=average, sample_weight=w))
by_sklearn("f1 of class 2", classes(), lambda t, p, w: sk.f1_score(t == 2, p == 2, sample_weight=w)
           if (t == 2).any() or (p == 2).any() else float("nan"))
by_sklearn("confusion 2 as 0", classes(), lambda t, p, w: sk.confusion_matrix(t, p, labels=[0, 1, 2, 3], sample_weight=w)[2][0])
by_sklearn("roc auc", scores(), area)
by_sklearn("log loss of two", scores(), lambda t, p, w: sk.log_loss(t, p, labels=[0, 1], sample_weight=w))
by_sklearn("log loss of three", probabilities(), lambda t, p, w: sk.log_loss(t, p, labels=[0, 1, 2], sample_weight=w))
by_sklearn("mean absolute error", numbers(), lambda t, p, w: sk.mean_absolute_error(t, p, sample_weight=w))
by_sklearn("mean squared error", numbers(), lambda t, p, w: sk.mean_squared_error(t, p, sample_weight=w))
by_sklearn("root mean squared error", numbers(), lambda t, p, w: sk.mean_squared_error(t, p, sample_weight=w) ** 0.5)
by_sklearn("r2", numbers(), r2)
for name, make in [("accuracy", rm.Accuracy), ("f1 (macro)", rm.MacroF1), ("f1 (micro)", rm.MicroF1),
                   ("f1 (weighted)", rm.WeightedF1), ("kappa", rm.CohenKappa)]:
    defined = 100 if name == "kappa" else 1
    by_river(name, classes(), make(), "all", defined)
    by_river(name, classes(), utils.Rolling(make(), WINDOW), "sliding", defined)
for name, make in [("mean absolute error", rm.MAE), ("root mean squared error", rm.RMSE)]:
    by_river(name, numbers(), make())
    by_river(name, numbers(), utils.Rolling(make(), WINDOW), "sliding")
# No two scores alike: River counts equal ones as lost, not as half won.
unequal = ((t == 1, p + i / 2**30) for i, (t, p) in enumerate(scores()))
by_river("roc auc of unequal scores", unequal, rm.RollingROCAUC(WINDOW), "sliding", 100)
print("""};
// clang-format on

}  // namespace tensair::test""")
