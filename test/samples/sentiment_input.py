"""sentiment: files and feeds as they come, good and bad."""

import re
import socket
import threading
import unittest

from _sentiment import SentimentTest

GOOD, BAD = ["what a lovely day", "so happy, thank you"], ["i feel sick", "missed the train, so sad"]


def labelled(count):
    return "".join(f"{i % 2},{(GOOD if i % 2 else BAD)[i // 2 % 2]}\n".replace(", ", " ") for i in range(count))


class Files(SentimentTest):
    def count(self, content, *flags):
        figures = self.figures("--data", self.write("tweets.csv", content), *flags)
        return figures["tweets"], figures["labels_used"]

    def test_columns_text_and_label_in_any_order(self):
        self.assertEqual(self.count("label,text\n" + labelled(100), "--adapt", "always"), (100, 100))
        self.assertEqual(self.count('user,text,label\nx,"good, day",1\ny,bad,0\n', "--adapt", "always"), (2, 2))

    def test_sentiment140_with_and_without_header_and_as_tsv(self):
        row = '"4","1","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","somebody","a ""good"" day"\n'
        header = '"polarity","id","date","query","user","text"\n'
        self.assertEqual(self.count(row * 50, "--adapt", "always"), (50, 50))
        self.assertEqual(self.count(header + row * 50, "--adapt", "always"), (50, 50))
        tsv = (header + row * 50).replace('","', '"\t"').replace('""', "''")
        self.assertEqual(self.count(tsv, "--adapt", "always"), (50, 50))

    def test_labels_that_never_come(self):
        self.assertEqual(self.figures("--data", self.write("a.csv", "label,text\n" + ",a day\n" * 5000))["prequential_accuracy"], None)

    def test_neutral_is_no_label(self):
        figures = self.figures("--data", self.write("a.csv", "polarity,text\n" + "2,a day\n0,bad\n" * 64), "--adapt", "always")
        self.assertEqual(figures["tweets"], 128)
        self.assertIsNotNone(figures["prequential_accuracy"])

    def test_one_class_only(self):
        figures = self.figures("--data", self.write("a.csv", "label,text\n" + "0,what a day\n" * 3000))
        self.assertGreater(figures["prequential_accuracy"], 0.98)
        self.assertIsNone(figures["kappa"])

    def test_empty_text_and_broken_utf8_and_ten_megabytes(self):
        content = b"label,text\n0,\n1,\xff\xfe\xc3\n0," + b"word " * (2 << 20) + b"\n1,fine\n"
        self.assertEqual(self.count(content, "--adapt", "always"), (4, 4))

    def test_nothing(self):
        self.assertEqual(self.count("label,text\n"), (0, 0))

    def test_what_is_wrong_is_said(self):
        def refuse(content, *words):
            path = self.write("bad.csv", content)
            self.refuse("--data", path, words=(re.escape(path), *words))

        refuse("polarity,text\n0,good\n3,bad\n", "line 3", "polarity")
        refuse("label,text\n0,good\nsad,bad\n", "line 3", "label")
        refuse("label,text\n0,good\n1\n", "line 3")
        refuse("label,texts\n0,good\n", "columns text and label")
        refuse("", "columns text and label")
        self.refuse("--data", self.path("missing.csv"), words=("missing.csv", "--data"))

    def test_what_is_wrong_can_be_left_out(self):
        content = "label,text\n0,good\nsad,bad\n1\n1,fine\n"
        self.assertEqual(self.count(content, "--skip-bad", "--adapt", "always"), (2, 2))

    def test_flags(self):
        for flags, word in ((["--batch", 0], "--batch"), (["--swap-at", "1,x"], "--swap-at"), (["--adapt", "maybe"], "--adapt"),
                            (["--detector", "none"], "--detector"), (["--tcp", "nowhere"], "--tcp"),
                            (["--tcp", "a:1", "--data", "x"], "--tcp")):
            self.refuse(*flags, words=(word,), code=2)

    def test_a_plot_that_cannot_be_written(self):
        self.refuse("--data", self.write("a.csv", "label,text\n" + labelled(10)), "--quiet", "--plot", self.path("no/such.svg"),
                    words=(r"no/such\.svg",))


class Feed(SentimentTest):
    def test_lines_of_a_server(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def serve():
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"1\twhat a lovely day\n0\ti feel sick\nno label\n" * 100 + b"sad\tno label\n")

            thread = threading.Thread(target=serve)
            thread.start()
            figures = self.figures("--tcp", f"127.0.0.1:{server.getsockname()[1]}", "--skip-bad", "--adapt", "always")
            thread.join()
        self.assertEqual(figures["tweets"], 300)
        self.assertGreater(figures["prequential_accuracy"], 0.7)


if __name__ == "__main__":
    unittest.main()
