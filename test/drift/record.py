"""Makes recorded/streams.tsv and recorded/detections.tsv: what River's and MOA's detectors say of some streams.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install river==0.26.1 capymoa==0.15.1
    /tmp/peers/bin/python test/drift/record.py test/drift/recorded

The streams are drawn by Python's random from fixed seeds, other ones with a number behind the folder; names behind that are the only
detectors. A detector's parameters are in its name. MOA's run in a JVM, by CapyMOA.
"""
import pathlib, random, sys

from capymoa.drift import detectors as moa
from capymoa.drift.base_detector import MOADriftDetector
from moa.classifiers.core.driftdetection import HDDM_A_Test, HDDM_W_Test, PageHinkleyDM, CusumDM, RDDM, ADWINChangeDetector, DDM, EDDM, EWMAChartDM, STEPD
from river import drift

FOLDER = pathlib.Path(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def bits(seed, parts):
    """Errors: `parts` are (how many, error rate)."""
    draw = random.Random(SEED + seed)
    return [int(draw.random() < rate) for n, rate in parts for _ in range(n)]


def ramp(seed, n, low, high):
    draw = random.Random(SEED + seed)
    return [int(draw.random() < low + (high - low) * i / n) for i in range(n)]


def reals(seed, parts):
    """Numbers in [0, 1] of three digits: `parts` are (how many, least, greatest)."""
    draw = random.Random(SEED + seed)
    return [round(draw.uniform(low, high), 3) for n, low, high in parts for _ in range(n)]


STREAMS = {
    ("abrupt", 1): bits(1, [(1500, 0.1), (1500, 0.4), (1500, 0.1), (1500, 0.3)]),
    ("abrupt", 2): bits(2, [(1000, 0.05), (1000, 0.6), (1000, 0.2), (2000, 0.7)]),
    ("gradual", 1): bits(3, [(1000, 0.1)]) + ramp(4, 2000, 0.1, 0.5) + bits(5, [(1000, 0.5)]),
    ("stable", 1): bits(6, [(5000, 0.25)]),
    ("reals", 1): reals(7, [(1000, 0, 0.5), (1000, 0.3, 0.9), (1000, 0.1, 0.4), (500, 0, 1)]),
    ("numbers", 1): [x * 40 - 7 for x in reals(8, [(1000, 0, 0.5), (1000, 0.4, 1), (1000, 0.1, 0.3)])],
}
BITS = [key for key in STREAMS if key[0] in ("abrupt", "gradual", "stable")]
FRACTIONS = BITS + [("reals", 1)]
ALL = list(STREAMS)


def of_moa(kind, cli=""):
    def signals(values):
        detector = MOADriftDetector(cli=cli, moa_detector_type=kind)
        for value in values:
            detector.add_element(value)
        return detector.detection_index, detector.warning_index
    return signals


def of_river(make):
    def signals(values):
        detector, drifts, warnings = make(), [], []
        for i, value in enumerate(values, 1):
            detector.update(value)
            if detector.drift_detected:
                drifts.append(i)
            elif getattr(detector, "warning_detected", False):
                warnings.append(i)
        return drifts, warnings
    return signals


DETECTORS = {
    "MOA ADWIN": (of_moa(ADWINChangeDetector), ALL),
    "MOA DDM": (of_moa(DDM), FRACTIONS),
    "MOA EDDM": (of_moa(EDDM), FRACTIONS),
    "MOA ECDD": (of_moa(EWMAChartDM), FRACTIONS),
    "MOA STEPD": (of_moa(STEPD), FRACTIONS),
    "MOA HDDM_A": (of_moa(HDDM_A_Test, "-t Two-sided"), FRACTIONS),
    "MOA HDDM_A one-sided": (of_moa(HDDM_A_Test, "-t One-sided"), FRACTIONS),
    "MOA HDDM_W": (of_moa(HDDM_W_Test, "-t One-sided"), FRACTIONS),
    "MOA HDDM_W two-sided": (of_moa(HDDM_W_Test, "-t Two-sided"), FRACTIONS),
    "MOA PageHinkley": (of_moa(PageHinkleyDM), ALL),
    "MOA CUSUM": (of_moa(CusumDM), ALL),
    "MOA CUSUM lambda 10": (of_moa(CusumDM, "-l 10"), ALL),
    "MOA RDDM": (of_moa(RDDM), BITS),
    "MOA RDDM short": (of_moa(RDDM, "-x 600 -y 200 -z 100"), BITS),
    "River HDDM_A": (of_river(drift.binary.HDDMA), FRACTIONS),
    "River HDDM_W": (of_river(drift.binary.HDDMW), FRACTIONS),
    "River PageHinkley": (of_river(drift.PageHinkley), ALL),
    "River PageHinkley threshold 10": (of_river(lambda: drift.PageHinkley(threshold=10)), ALL),
    "River KSWIN seed 42": (of_river(lambda: drift.KSWIN(seed=42)), ALL),
    "River KSWIN 300 100": (of_river(lambda: drift.KSWIN(alpha=0.001, window_size=300, stat_size=100, seed=7)), ALL),
    "River KSWIN 600 30": (of_river(lambda: drift.KSWIN(alpha=0.001, window_size=600, stat_size=30, seed=9)), ALL),
    "River ADWIN": (of_river(drift.ADWIN), ALL),
}

HEADER = ("# River 0.26.1 and CapyMOA 0.15.1 (MOA), by test/drift/record.py: it says how to run it.",)


def write(name, columns, rows):
    with open(FOLDER / name, "w") as out:
        print(*HEADER, *[], sep="\n", file=out)
        print("\t".join(columns), file=out)
        for row in rows:
            print("\t".join(row), file=out)


def text(values):
    return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)


FOLDER.mkdir(exist_ok=True)
write("streams.tsv", ("scenario", "run", "values"), [(s, str(r), text(v)) for (s, r), v in STREAMS.items()])
rows = []
for name, (signals, streams) in DETECTORS.items():
    if len(sys.argv) > 3 and name not in sys.argv[3:]:
        continue
    for scenario, run in streams:
        # What the file says, not what was rounded for it.
        values = [float(v) for v in text(STREAMS[scenario, run]).split()]
        drifts, warnings = signals(values)
        begin = [w for i, w in enumerate(warnings) if i == 0 or warnings[i - 1] + 1 != w]
        rows.append((scenario, str(run), name, text(map(int, drifts)), text(map(int, begin))))
write("detections.tsv", ("scenario", "run", "detector", "drifts", "warnings"), rows)
