"""detect: what goes in and what comes out, every detector and flag, and bad input."""
import json, os, pathlib, random, subprocess, sys, unittest

PROGRAM = pathlib.Path(os.environ["TENSAIR_BUILD_DIR"], "samples", "detect")
RECORDED = pathlib.Path(os.environ["TENSAIR_SOURCE_DIR"], "test", "drift", "recorded")


def detect(*flags, lines=(), text=None):
    data = text if text is not None else "".join(f"{line}\n" for line in lines)
    data = data if isinstance(data, bytes) else data.encode()
    return subprocess.run([PROGRAM, *map(str, flags)], input=data, capture_output=True, timeout=60)


def table(name):
    rows = [line.split("\t") for line in (RECORDED / name).read_text().splitlines() if not line.startswith("#")]
    return rows[1:]


class Detect(unittest.TestCase):
    def out(self, *flags, **given):
        run = detect(*flags, **given)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout.decode()

    def test_signals_are_those_recorded_of_moa(self):
        streams = {(s, r): v.split() for s, r, v in table("streams.tsv")}
        names = {"MOA ADWIN": "adwin", "MOA DDM": "ddm", "MOA EDDM": "eddm", "MOA ECDD": "ecdd", "MOA STEPD": "stepd",
                 "MOA HDDM_A": "hddm-a", "MOA HDDM_W": "hddm_w", "MOA CUSUM": "cusum", "MOA RDDM": "rddm"}
        checked = 0
        for scenario, run, detector, drifts, warnings in table("detections.tsv"):
            if detector not in names:
                continue
            lines = [line.split() for line in self.out(names[detector], lines=streams[scenario, run]).splitlines()]
            for level, expected in ("drift", drifts), ("warning", warnings):
                self.assertEqual([i for i, what in lines if what == level], expected.split(), (scenario, run, detector))
            checked += 1
        self.assertGreater(checked, 40)

    def test_every_parameter_of_every_detector_is_a_flag(self):
        everything = json.loads(self.out("--list", "--json"))
        self.assertEqual(sorted(everything), ["adwin", "cusum", "ddm", "ecdd", "eddm", "hddm_a", "hddm_w", "kswin", "optwin",
                                              "page_hinkley", "rddm", "stepd"])
        for name, parameters in everything.items():
            flags = []
            for parameter, about in parameters.items():
                value = about["default"]
                flags += ["--" + parameter.replace("_", "-"), json.dumps(value)]
            self.assertEqual(self.out(name, *flags, lines=[0, 1, 0]), self.out(name, lines=[0, 1, 0]))
            for parameter, about in parameters.items():
                self.assertIn("--" + parameter.replace("_", "-"), self.out("--list"))
                run = detect(name, f"--{parameter}=-1e300", lines=[0])
                self.assertEqual(run.returncode, 2, (name, parameter, run))

    def test_parameters_change_what_it_says(self):
        draw = random.Random(1)
        lines = [int(draw.random() < (0.2 if i < 2000 else 0.5)) for i in range(4000)]
        first = lambda *flags: int(self.out(*flags, lines=lines).split()[0])
        self.assertLess(first("cusum", "--lambda", 10), first("cusum", "--lambda", 60))
        falling = [1 - x for x in lines]
        self.assertEqual(self.out("adwin", lines=falling), "")
        self.assertNotEqual(self.out("adwin", "--two-sided", lines=falling), "")
        self.assertNotEqual(self.out("adwin", "--two_sided=true", lines=falling), "")
        self.assertEqual(self.out("adwin", "--two-sided=false", lines=falling), "")
        self.assertEqual(self.out("adwin", "--no-two-sided", lines=falling), "")

    def test_json(self):
        lines = [0] * 500 + [1] * 100
        for line in self.out("ddm", "--json", lines=lines).splitlines():
            one = json.loads(line)
            self.assertEqual(set(one), {"index", "level", "statistic", "estimate"})
        self.assertIn(json.loads(self.out("hddm_a", "--json", lines=lines).splitlines()[-1])["level"], ("drift", "warning"))
        # STEPD's z is infinite where all values have been equal.
        self.assertIsNone(json.loads(self.out("stepd", "--json", lines=[0] * 60))["statistic"])

    def test_what_is_known_comes_before_the_input_ends(self):
        with subprocess.Popen([PROGRAM, "hddm_a"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
            running.stdin.write(b"0\n" * 300 + b"1\n" * 300)
            running.stdin.flush()
            self.assertRegex(running.stdout.readline(), rb"^\d+ (warning|drift)\n$")
            running.stdin.close()

    def test_numbers_as_people_write_them(self):
        text = " 0.5\r\n+0.25\n-1e-3\n7\n\t1E2 \n0.125"
        self.assertEqual(self.out("page_hinkley", text=text), "")
        self.assertEqual(self.out("page_hinkley", text=""), "")

    def test_a_line_longer_than_the_buffer_of_a_read(self):
        lines = ["0.5" + "0" * 5000] * 1000
        self.assertEqual(self.out("adwin", lines=lines), "")

    def test_bad_lines_end_it(self):
        for bad in "abc", "", "1,5", "0x10", "1 2", "--", "+-1", "nan", "inf", "-inf", "1e400", "1e200", "-0.5", "1.5":
            run = detect("ddm", lines=[0, 1, bad, 0])
            self.assertEqual(run.returncode, 1, (bad, run))
            self.assertRegex(run.stderr.decode(), r"^detect: [^\n]*line 3[^\n]*--skip-bad\.\n$")
        self.assertEqual(detect("adwin", text=b"\xff\xfe\n").returncode, 1)
        self.assertEqual(detect("adwin", text=b"1\0\n").returncode, 1)
        self.assertEqual(detect("adwin", text=b"1" * (1 << 21)).returncode, 1)

    def test_bad_lines_are_counted(self):
        lines = [0] * 300 + ["abc", "nan", 2] + [1] * 300
        run = detect("hddm_a", "--skip-bad", lines=lines)
        self.assertEqual(run.returncode, 0)
        self.assertEqual(run.stderr, b"detect: skipped 3 of 603 lines\n")
        without = [int(i) + 3 for i in self.out("hddm_a", lines=[0] * 300 + [1] * 300).split()[::2]]
        self.assertEqual([int(i) for i in run.stdout.split()[::2]], without)

    def test_bad_flags(self):
        for flags in ([], ["nonsense"], ["ddm", "eddm"], ["ddm", "--rho", "1"], ["ddm", "--min-values", "x"], ["ddm", "-x"],
                      ["adwin", "--delta"], ["adwin", "--delta", "nan"], ["adwin", "--two-sided", "maybe"],
                      ["ecdd", "--run-length", "200"], ["kswin", "--recent", "80"]):
            run = detect(*flags, lines=[0])
            self.assertEqual(run.returncode, 2, (flags, run))
            self.assertRegex(run.stderr.decode(), r"^detect: [^\n]+\.\n$", flags)

    def test_constants(self):
        for name in "adwin", "ddm", "eddm", "ecdd", "hddm_a", "hddm_w", "optwin", "rddm", "page_hinkley", "cusum", "kswin":
            for constant in 0, 1, 0.3:
                self.assertEqual(self.out(name, lines=[constant] * 3000), "", (name, constant))


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
