"""What a value costs drift detectors in tensair, River, MOA (Java, out of CapyMOA's wheel) and OPTWIN's authors' program, in turns;
medians of 5, ns of processor time, and how many times as long the others take.

    bench/peers/run.sh detectors [--values N] [--build build/release] [--optwin FOLDER] [--json FILE]

The values are errors at a rate of 0.2, each side draws its own. Without a JDK, MOA is left out, and said to be. OPTWIN's authors have
no package: FOLDER is a clone of https://github.com/maurodlt/OptWin, whose class is compiled against MOA and whose cuts it reads.
"""
import argparse, importlib.util, json, os, pathlib, random, shutil, statistics, subprocess, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def river(values):
    from river import drift
    make = {"adwin": drift.ADWIN, "ddm": drift.binary.DDM, "eddm": drift.binary.EDDM, "hddm_a": drift.binary.HDDMA,
            "hddm_w": drift.binary.HDDMW, "page_hinkley": drift.PageHinkley, "kswin": drift.KSWIN}
    figures = {}
    for name, kind in make.items():
        detector, some = kind(), values[: len(values) // (20 if name == "kswin" else 1)]
        begin = time.process_time()
        for value in some:
            detector.update(value)
        figures[name] = (time.process_time() - begin) / len(some) * 1e9
    return figures


class Java:
    """Classes compiled against MOA; `run` gives what one of them prints: a name and a number a line."""

    def __init__(self, folder, optwin):
        found = importlib.util.find_spec("capymoa")
        jar = found and pathlib.Path(found.origin).parent / "jar" / "moa.jar"
        self.there = bool(jar and jar.exists() and shutil.which("javac"))
        self.optwin = optwin if self.there else None
        if not self.there:
            print("without MOA: there is no JDK, or no moa.jar in CapyMOA")
            return
        self.path = f"{jar}:{folder}"
        sources = [HERE / "MoaDetectors.java"]
        if optwin:
            self.environment = {**os.environ, "OPTWIN_CUT_PATH": str(optwin / "pre_computed_cuts")}
            sources += [HERE / "OptwinDetector.java", *(optwin / "MOA-experiments" / name for name in ("OPTWIN.java", "Circular_list.java"))]
        else:
            self.environment = None
            print("without OPTWIN's authors: give --optwin a clone of https://github.com/maurodlt/OptWin")
        subprocess.run(["javac", "-nowarn", "-cp", jar, "-d", folder, *sources], check=True)

    def run(self, name, values):
        done = subprocess.run(["java", "-cp", self.path, name, str(values)], check=True, capture_output=True, text=True, env=self.environment)
        return {name: float(ns) for name, ns in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--values", type=int, default=1_000_000)
    flags.add_argument("--build", default=ROOT / "build" / "release", type=pathlib.Path)
    flags.add_argument("--repetitions", type=int, default=5)
    flags.add_argument("--optwin", type=pathlib.Path, help="a clone of https://github.com/maurodlt/OptWin")
    flags.add_argument("--json", type=pathlib.Path, help="file for the figures")
    flags = flags.parse_args()
    draw = random.Random(1)
    values = [int(draw.random() < 0.2) for _ in range(min(flags.values, 200_000))]
    figures = {"tensair": {}, "MOA": {}, "River": {}, "authors": {}}

    def add(side, one):
        for name, ns in one.items():
            figures[side].setdefault(name, []).append(ns)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        java = Java(folder, flags.optwin)
        for _ in range(flags.repetitions):
            out = folder / "tensair.json"
            subprocess.run([flags.build / "bench" / "detectors", "--speed-only", "--repetitions", "1", "--values", str(flags.values),
                            "--json", out], check=True, stdout=subprocess.DEVNULL)
            add("tensair", {row["detector"]: row["ns"] for row in json.loads(out.read_text())})
            add("River", river(values))
            if java.there:
                add("MOA", java.run("MoaDetectors", flags.values))
            if java.optwin:
                add("authors", java.run("OptwinDetector", flags.values))
    middle = {side: {name: statistics.median(all) for name, all in one.items()} for side, one in figures.items()}
    others = [side for side in middle if side != "tensair" and middle[side]]
    print(f"{'ns a value':<18}{'tensair':>10}" + "".join(f"{side:>10}{'times':>8}" for side in others))
    rows = []
    for name, ours in sorted(middle["tensair"].items()):
        line = f"{name:<18}{ours:>10.1f}"
        for side in others:
            ns = middle[side].get(name)
            line += f"{ns:>10.1f}{ns / ours:>8.1f}" if ns else f"{'':>18}"
        print(line)
        rows += [{"workload": name, "system": side, "value": one[name], "unit": "ns", "of_limit": None} for side, one in middle.items() if name in one]
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


main()
