"""What a value costs drift detectors in tensair, River and MOA (Java, out of CapyMOA's wheel), in turns; medians of 5, ns of processor time.

    bench/peers/run.sh detectors [--values N] [--build build/release]

The values are errors at a rate of 0.2, each side draws its own. Without a JDK, MOA is left out, and said to be.
"""
import argparse, importlib.util, json, pathlib, random, shutil, statistics, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[3]


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


def moa_jar():
    found = importlib.util.find_spec("capymoa")
    jar = found and pathlib.Path(found.origin).parent / "jar" / "moa.jar"
    return jar if jar and jar.exists() and shutil.which("javac") else None


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--values", type=int, default=1_000_000)
    flags.add_argument("--build", default=ROOT / "build" / "release", type=pathlib.Path)
    flags.add_argument("--repetitions", type=int, default=5)
    flags = flags.parse_args()
    draw = random.Random(1)
    values = [int(draw.random() < 0.2) for _ in range(min(flags.values, 20_000))]
    figures = {"tensair": {}, "River": {}, "MOA": {}}

    def add(side, one):
        for name, ns in one.items():
            figures[side].setdefault(name, []).append(ns)

    jar = moa_jar()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if jar:
            source = pathlib.Path(__file__).with_name("MoaDetectors.java")
            subprocess.run(["javac", "-cp", jar, "-d", folder, source], check=True)
        else:
            print("without MOA: there is no JDK, or no moa.jar in CapyMOA")
        for _ in range(flags.repetitions):
            out = folder / "tensair.json"
            subprocess.run([flags.build / "bench" / "detectors", "--speed-only", "--repetitions", "1", "--values", str(flags.values),
                            "--json", out], check=True, stdout=subprocess.DEVNULL)
            add("tensair", {row["detector"]: row["ns"] for row in json.loads(out.read_text())})
            add("River", river(values))
            if jar:
                run = subprocess.run(["java", "-cp", f"{jar}:{folder}", "MoaDetectors", str(flags.values)], check=True,
                                     capture_output=True, text=True)
                add("MOA", {name: float(ns) for name, ns in (line.split() for line in run.stdout.splitlines())})
    print(f"{'ns a value':<18}{'tensair':>10}{'MOA':>10}{'River':>10}")
    for name, ours in sorted(figures["tensair"].items()):
        others = [figures[side].get(name) for side in ("MOA", "River")]
        print(f"{name:<18}{statistics.median(ours):>10.1f}" + "".join(f"{statistics.median(o):>10.1f}" if o else f"{'':>10}" for o in others))


main()
