# ctest: timeout 300
"""detect says what River's and MOA's detectors say, run beside it on streams that were not recorded; where they are installed."""
import os, pathlib, subprocess, sys, tempfile

BUILD, SOURCE = (pathlib.Path(os.environ[name]) for name in ("TENSAIR_BUILD_DIR", "TENSAIR_SOURCE_DIR"))
RIVER_PAGE_HINKLEY = ["page_hinkley", "--min-values", "31", "--two-sided"]
# By the names of record.py. River's HDDM_W has another bound: see docs/drift.md.
FLAGS = {
    "MOA ADWIN": ["adwin"],
    "MOA DDM": ["ddm"],
    "MOA EDDM": ["eddm"],
    "MOA ECDD": ["ecdd"],
    "MOA STEPD": ["stepd"],
    "MOA HDDM_A": ["hddm_a"],
    "MOA HDDM_A one-sided": ["hddm_a", "--no-two-sided"],
    "MOA HDDM_W": ["hddm_w"],
    "MOA HDDM_W two-sided": ["hddm_w", "--two-sided"],
    "MOA PageHinkley": ["page_hinkley", "--no-from-lowest"],
    "MOA CUSUM": ["cusum"],
    "MOA CUSUM lambda 10": ["cusum", "--lambda", "10"],
    "MOA RDDM": ["rddm"],
    "MOA RDDM short": ["rddm", "--max-concept", "600", "--min-stable", "200", "--warning-limit", "100"],
    "River HDDM_A": ["hddm_a", "--no-two-sided"],
    "River PageHinkley": RIVER_PAGE_HINKLEY,
    "River PageHinkley threshold 10": [*RIVER_PAGE_HINKLEY, "--lambda", "10"],
    "River KSWIN seed 42": ["kswin", "--seed", "42"],  # the others take long
}


def python_with_peers():
    for python in sys.executable, SOURCE / "build" / "peers" / "detectors" / "bin" / "python":
        is_there = python == sys.executable or python.exists()
        if is_there and subprocess.run([python, "-c", "import river, capymoa.drift.detectors"], capture_output=True).returncode == 0:
            return python
    print("River and CapyMOA are not installed (bench/peers/run.sh detectors installs them): only what was recorded of them is compared with")
    sys.exit(77)


def table(file):
    rows = [line.split("\t") for line in file.read_text().splitlines() if not line.startswith("#")]
    return rows[1:]


python = python_with_peers()
checked, wrong = 0, []
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([python, SOURCE / "test" / "drift" / "record.py", folder, "1000", *FLAGS], check=True, stdout=subprocess.DEVNULL)
    streams = {(scenario, run): values.split() for scenario, run, values in table(pathlib.Path(folder, "streams.tsv"))}
    for scenario, run, name, drifts, warnings in table(pathlib.Path(folder, "detections.tsv")):
        lines = "\n".join(streams[scenario, run]) + "\n"
        out = subprocess.run([BUILD / "samples" / "detect", *FLAGS[name]], input=lines, capture_output=True, text=True, check=True).stdout
        found = {level: [line.split()[0] for line in out.splitlines() if line.endswith(level)] for level in ("drift", "warning")}
        for level, expected in ("drift", drifts), ("warning", warnings):
            if found[level] != expected.split():
                wrong.append(f"{name} on {scenario} {run}: {level}s at {found[level]}, theirs at {expected.split()}")
        checked += 1
print(f"{checked} pairs of a detector and a stream")
print(*wrong, sep="\n")
sys.exit(1 if wrong or checked < 90 else 0)
