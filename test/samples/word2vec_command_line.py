# ctest: timeout 240
"""word2vec: learns and saves, on one node and two; questions, evaluation, figures; and what is wrong is told in one line."""
import json, math, os, pathlib, socket, subprocess, tempfile, threading, unittest

PROGRAM = pathlib.Path(os.environ["TENSAIR_BUILD_DIR"], "samples", "word2vec")
SMALL = ["--quiet", "--generate", 300_000, "--dim", 16, "--vocab", 3_000, "--lr", 0.05]
CRASH = ("terminate called", "what():", "Sanitizer", "runtime error", "Assertion")


def run(*flags, text=""):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TENSAIR_", "OMPI_", "SLURM_"))}
    done = subprocess.run([PROGRAM, *map(str, flags)], input=text, capture_output=True, text=True, timeout=100, env=environment)
    for word in CRASH:
        assert word not in done.stderr, done.stderr
    return done


class Word2Vec(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name, content=None):
        path = pathlib.Path(self.folder.name, name)
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def well(self, *flags, **given):
        done = run(*flags, **given)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, *flags, code=1, words=()):
        done = run("--quiet", *flags)
        self.assertEqual(done.returncode, code, (flags, done))
        lines = [line for line in done.stderr.splitlines() if "generated text" not in line]
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])

    def test_true_neighbours_are_found_on_one_node_and_two(self):
        for nodes in 1, 2:
            figures = self.path("figures.json")
            vectors = self.path("vectors.txt")
            self.well(*SMALL, "--epochs", 4, "--local", nodes, "--json", figures, "--save", vectors)
            found = json.loads(figures.read_text())
            # By chance it would be a fortieth. Words are learnt only from when they were let in, and how soon two nodes have
            # agreed is up to the machine in a run of 200 ms: now and then topics lie on top of each other, and it is .77 to .88.
            self.assertGreater(found["quality"]["neighbours of the same topic"]["value"], 0.6, nodes)
            for name in "words", "words_per_s", "pairs_per_s", "vocabulary", "bytes_sent", "peak_rss_bytes":
                self.assertIn(name, found)
            header, *rows = vectors.read_text().splitlines()
            self.assertEqual(header, f"{found['vocabulary']} 16")
            self.assertEqual(len(rows), found["vocabulary"])
            self.assertTrue(all(len(row.split()) == 17 for row in rows))

    def test_questions_are_answered_and_unknown_words_told(self):
        vectors = self.path("v.txt", "4 2\nking 1 0\nqueen 1 0.2\nman 0 1\nwoman 0 1.2\n")
        out = self.well("--quiet", "--load", vectors, "--vocabulary", "counted", "--dim", 2, "--generate", 1_000, "--ask", "-",
                        text="nearest king\nunicorn\nanalogy man king woman\nwhat is this\n")
        lines = [line for line in out.splitlines() if "words/s" not in line]
        self.assertRegex(lines[0], r"^nearest king:  queen .*\(version \d+\)$")
        self.assertEqual(lines[1], "unicorn: the word «unicorn» is not known")
        self.assertIn("queen", lines[2])
        self.assertIn("is no question", lines[3])

    def test_saved_vectors_are_loaded_again(self):
        for name in "v.txt", "v.bin":
            vectors = self.path(name)
            self.well(*SMALL, "--save", vectors)
            figures = self.path("figures.json")
            # Nearly nothing is learnt, so what was known is known still.
            self.well("--quiet", "--generate", 2_000, "--dim", 16, "--lr", 1e-6, "--load", vectors, "--vocab", 3_000, "--json", figures)
            found = json.loads(figures.read_text())
            self.assertGreater(found["quality"]["neighbours of the same topic"]["value"], 0.5)

    def test_gensim_reads_what_is_saved(self):
        try:
            from gensim.models import KeyedVectors
        except ImportError:
            self.skipTest("no gensim")
        for name in "v.txt", "v.bin":
            self.well(*SMALL, "--save", self.path(name))
            read = KeyedVectors.load_word2vec_format(self.path(name), binary=name == "v.bin")
            self.assertEqual(read.vector_size, 16)
            self.assertIn("t3w4", read)

    def test_a_text_is_evaluated_as_it_is_learnt(self):
        lines = "".join(f"the cat number {i % 7} sat on mat {i % 5}\n" for i in range(20_000))
        self.path("similar.txt", "cat\tmat\t5\nsat\tunicorn\t3\nnumber\tthe\t1\n")
        self.path("questions-words.txt", ": some\ncat mat sat on\ncat mat sat unicorn\n")
        csv = self.path("q.csv")
        data = self.path("text", None)
        data.mkdir()
        (data / "a.txt").write_text(lines)
        folder = self.path("eval")
        folder.mkdir()
        for name in "similar.txt", "questions-words.txt":
            self.path(name).rename(folder / name)
        out = self.well("--quiet", "--data", data, "--evaluate", folder, "--evaluate-every", 20_000, "--csv", csv, "--vocabulary", "counted",
                        "--dim", 8, "--sample", 0)
        self.assertIn("similar.txt", out)
        self.assertIn("1 of 3 not known", out)
        rows = csv.read_text().splitlines()
        self.assertEqual(rows[0], "words,file,value,asked,unknown")
        self.assertGreater(len(rows), 4)

    def test_cbow_and_threads_and_fp16(self):
        for flags in (["--cbow", "--lr", 0.2, "--epochs", 4], ["--trainers", 2], ["--local", 2, "--compress-deltas", "fp16", "--noise", 0.5]):
            figures = self.path("figures.json")
            self.well(*SMALL, *flags, "--epochs", 4, "--json", figures)
            self.assertGreater(json.loads(figures.read_text())["quality"]["neighbours of the same topic"]["value"], 0.5, flags)

    def test_lines_come_over_tcp(self):
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            connection, _ = server.accept()
            with connection:
                for i in range(3_000):
                    connection.sendall(f"the cat number {i % 7} sat on mat {i % 5} \0 \xff\n".encode("latin-1"))

        thread = threading.Thread(target=serve)
        thread.start()
        figures = self.path("figures.json")
        self.well("--quiet", "--tcp", f"127.0.0.1:{server.getsockname()[1]}", "--dim", 8, "--json", figures)
        thread.join()
        server.close()
        self.assertGreater(json.loads(figures.read_text())["words"], 1_000)

    def test_odd_texts_end_well(self):
        for content in (b"", b"a", b"word " * 100, bytes(range(256)) * 200, b"one two\n" * 3 + b"\0" * 1000, b"x" * 3_000_000):
            self.well("--quiet", "--data", self.path("odd.txt", content), "--dim", 8, "--evaluate", "none")

    def test_a_vocabulary_of_one_word_is_learnt_and_has_no_neighbours(self):
        for flags in ["--vocab", 16], ["--vocabulary", "counted"]:
            figures, vectors = self.path("figures.json"), self.path("v.txt")
            self.well("--quiet", "--data", self.path("one.txt", b"word " * 500), "--dim", 8, "--evaluate", "none", *flags,
                      "--json", figures, "--save", vectors)
            self.assertEqual(json.loads(figures.read_text())["vocabulary"], 1)
            header, row = vectors.read_text().splitlines()
            self.assertEqual(header, "1 8")
            word, *values = row.split()
            self.assertEqual(word, "word")
            self.assertTrue(all(math.isfinite(float(value)) for value in values), row)
            answers = self.well("--quiet", "--load", vectors, "--vocabulary", "counted", "--dim", 8, "--generate", 1_000, "--ask", "-",
                                "--evaluate", "none", text="nearest word\n")
            self.assertRegex(answers, r"(?m)^nearest word: +nothing yet ")

    def test_autograd_learns_what_the_kernel_does(self):
        figures = self.path("figures.json")
        found = {}
        for flags in [], ["--autograd"]:
            self.well("--quiet", "--generate", 60_000, "--dim", 16, "--vocab", 3_000, "--lr", 0.05, "--epochs", 6, *flags, "--json", figures)
            found[bool(flags)] = json.loads(figures.read_text())["quality"]["neighbours of the same topic"]["value"]
        self.assertGreater(min(found.values()), 0.6, found)  # by chance it would be .025
        self.refused("--autograd", "--trainers", 2, code=2, words=["--trainers"])

    def test_what_is_wrong_is_told_in_one_line(self):
        text = self.path("text.txt", "some words of text\n" * 50)
        self.refused("--data", self.path("none.txt"), words=["none.txt"])
        self.refused("--data", self.path("empty.txt", ""), "--vocabulary", "counted", words=["no word"])
        self.refused("--data", text, "--vocabulary-file", self.path("v", "word\n"), words=["line 1"])
        self.refused("--data", text, "--vocabulary-file", self.path("v", "word 3\nword 4\n"), "--min-count", 1, words=["twice"])
        self.refused("--data", text, "--load", os.path.dirname(text), words=["cannot be opened"])
        self.refused("--data", text, "--load", self.path("bad.txt", "x y\n"), words=["bad.txt"])
        self.refused("--data", text, "--load", self.path("good.txt", "1 2\nword 1 2\n"), words=["--dim 2"])
        self.refused("--data", text, "--load", self.path("short.txt", "3 2\nword 1 2\n"), "--dim", 2, words=["1 words"])
        self.refused("--data", text, "--save", self.path("nowhere") / "v.txt", "--min-count", 1, words=["written"])
        for flag, value in (("--dim", 0), ("--window", 0), ("--negative", 21), ("--min-count", 0), ("--sample", 2), ("--lr", 0),
                            ("--epochs", 0), ("--vocab", 15), ("--batch", 0), ("--trainers", 0)):
            self.refused("--data", text, flag, value, code=2, words=[flag])
        self.refused("--tcp", "nowhere", code=2, words=["HOST:PORT"])
        self.refused("--vocabulary", "counted", code=2, words=["--vocabulary"])


if __name__ == "__main__":
    unittest.main()
