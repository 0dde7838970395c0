# ctest: timeout 300 serial
"""sentiment: it learns, follows drift, and says so; on generated tweets, and on real ones where TENSAIR_DATA has them."""

import os
import pathlib
import re
import unittest

from _sentiment import SentimentTest

FIGURES = ("prequential_accuracy", "kappa", "labels_used", "tweets_per_s", "drifts", "switches")
REAL = os.environ.get("TENSAIR_DATA")


def swaps_found(figures, places, within):
    """For each place how many tweets later the model trained again, or did already."""
    switches = figures["switches"]
    found = []
    for place in places:
        before = [one for one in switches if one["index"] <= place]
        training = before[-1]["training"] if before else True
        after = [one["index"] - place for one in switches if one["index"] > place and one["training"]]
        found.append(0 if training else min(after, default=10**9))
    return [one for one in found if one <= within]


class Generated(SentimentTest):
    def test_it_learns_and_follows_new_words_on_one_node_and_on_two(self):
        for nodes in 1, 2:
            with self.subTest(nodes=nodes):
                figures = self.figures("--local", nodes, "--tweets", 9000, "--adapt", "always")
                self.assertEqual([name for name in FIGURES if name not in figures], [])
                self.assertEqual(figures["tweets"], 9000)
                self.assertEqual(figures["labels_used"], 9000)
                self.assertGreater(figures["prequential_accuracy"], 0.75)
                self.assertGreater(figures["kappa"], 0.5)

    def test_it_rests_and_learns_again_when_labels_swap(self):
        for nodes in 1, 2:
            with self.subTest(nodes=nodes):
                figures = self.figures("--local", nodes, "--tweets", 24000, "--swap-at", 5000)
                self.assertLess(figures["labels_used"], 24000)
                self.assertTrue(any(not one["training"] for one in figures["switches"]), figures["switches"])
                self.assertEqual(len(swaps_found(figures, [5000], 1000)), 1, figures["switches"])

    def test_never_is_never(self):
        figures = self.figures("--tweets", 2000, "--adapt", "never")
        self.assertEqual((figures["labels_used"], figures["switches"]), (0, []))

    def test_every_detector_and_every_deed_runs(self):
        for detector in ("adwin", "cusum", "ddm", "ecdd", "eddm", "hddm_a", "hddm_w", "kswin", "page_hinkley", "rddm", "stepd"):
            self.figures("--tweets", 2000, "--detector", detector)
        for deed in "reset_optimizer", "reset", "from_buffer", "challenge":
            self.figures("--tweets", 6000, "--swap-at", 3000, "--on-drift", deed)

    def test_the_same_seed_is_the_same_stream(self):
        one, other = (self.figures("--tweets", 3000, "--adapt", "always", "--seed", 7)["prequential_accuracy"] for _ in range(2))
        self.assertEqual(one, other)

    def test_lines_and_plot(self):
        run = self.run_sample("--tweets", 9000, "--swap-at", 5000, "--plot", self.path("plot.svg"))
        self.assertEqual(run.returncode, 0, run)
        self.assertRegex(run.stderr, "^no --data.*generated")
        self.assertRegex(run.stdout, r"tweets .* accuracy .* kappa .* optwin")
        svg = pathlib.Path(self.path("plot.svg")).read_text()
        self.assertTrue(svg.startswith("<svg ") and svg.endswith("</svg>\n"))
        self.assertEqual(len(re.findall("<polyline", svg)), 1)
        # The swap, and its place in the legend.
        self.assertEqual(len(re.findall("stroke-dasharray", svg)), 2)

    def test_a_terminal_shows_how_it_goes(self):
        run = self.run_sample("--tweets", 30000, "--swap-at", 15000, terminal=True)
        self.assertEqual(run.returncode, 0, run)
        views = run.stderr.split("\r")
        # How many tweets there had been by the first view, the only one of a quick run, is up to the machine.
        self.assertTrue(any(re.search(r"accuracy [\d.]+ %  last \d+ [\d.]+ %  kappa [-\d.]+  optwin: \d+ drifts  (training|resting)", one)
                            for one in views), run.stderr)

    def test_words_begin_as_their_vectors_say(self):
        words = [(word, 1) for word in ("good", "great", "love", "nice", "happy", "splendid")]
        words += [(word, -1) for word in ("bad", "sad", "hate", "sick", "tired", "dreadful")]
        vectors = self.write("words.txt", f"{len(words)} 2\n" + "".join(f"{word} {side} 0.5\n" for word, side in words))
        tweets = self.write("tweets.csv", "label,text\n" + "1,splendid day\n0,dreadful day\n" * 50)
        for flags, right in (["--vectors", vectors], 1), ([], 0.5):
            self.assertEqual(self.figures("--data", tweets, "--adapt", "never", *flags)["prequential_accuracy"], right)
        self.refuse("--data", tweets, "--vectors", self.path("missing.txt"), words=(r"missing\.txt",))
        self.refuse("--data", tweets, "--vectors", self.write("few.txt", "1 2\ngood 1 1\n"), words=("1 glad and 0 sad", "lexicon"))


@unittest.skipUnless(REAL and pathlib.Path(REAL, "tweets").is_dir(), "TENSAIR_DATA has no tweets: generated ones must do")
class Tweets(SentimentTest):
    """The figures that the sample was made for, with one setting, chosen on the first 5,000 tweets."""

    STREAMS = {"as they came": ([], [], 0.80, 0.78, 10_000),
               "labels swapped once": (["--swap-at", 13_845], [13_845], 0.785, 0.76, 8_000),
               "swapped every 5,000": (["--swap-every", 5_000], range(5_000, 27_689, 5_000), 0.765, 0.75, 14_000)}

    def test_always(self):
        for name, (flags, _, least, _, _) in self.STREAMS.items():
            with self.subTest(name):
                self.assertGreaterEqual(self.figures(*flags, "--adapt", "always", data_folder=REAL)["prequential_accuracy"], least)

    def test_automatic(self):
        for name, (flags, places, _, least, labels) in self.STREAMS.items():
            with self.subTest(name):
                figures = self.figures(*flags, data_folder=REAL)
                self.assertGreaterEqual(figures["prequential_accuracy"], least)
                self.assertLessEqual(figures["labels_used"], labels)
                self.assertEqual(len(swaps_found(figures, places, 500)), len(places), figures["switches"])

    def test_no_false_alarm_of_the_loss_in_ten_thousand(self):
        figures = self.figures("--adapt", "always", data_folder=REAL)
        false = [one for one in figures["drifts"] if one["of"] == "loss" and one["index"] < 22_000]
        self.assertLessEqual(len(false), 2)


if __name__ == "__main__":
    unittest.main()
