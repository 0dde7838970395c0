# ctest: timeout 300
"""What the cifar10 sample saves, Python reads, and the other way round; both then classify alike. Needs torch in PYTHON."""

import json
import os
import re
import sys
import unittest

from _cifar10 import PARAMETERS, SampleTest, write_data

try:
    import torch
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

SHAPES = {
    "conv1.weight": [32, 3, 3, 3],
    "conv1.bias": [32],
    "conv2.weight": [64, 32, 3, 3],
    "conv2.bias": [64],
    "conv3.weight": [64, 64, 3, 3],
    "conv3.bias": [64],
    "dense1.weight": [64, 1024],
    "dense1.bias": [64],
    "dense2.weight": [10, 64],
    "dense2.bias": [10],
}
TOLERANCE = 0.002  # of accuracy: 0.2 points
torch.set_num_threads(1)


class Network(torch.nn.Module):
    """TensAIR's, written in Python: no padding anywhere."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 32, 3)
        self.conv2 = torch.nn.Conv2d(32, 64, 3)
        self.conv3 = torch.nn.Conv2d(64, 64, 3)
        self.dense1 = torch.nn.Linear(1024, 64)
        self.dense2 = torch.nn.Linear(64, 10)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.conv3(x))
        return self.dense2(torch.relu(self.dense1(x.flatten(1))))


def read_test_images(folder):
    """Images, standardised as samples/cifar10/collate.hpp does it, and labels."""
    with open(os.path.join(folder, "test_batch.bin"), "rb") as file:
        records = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).view(-1, 3073)
    mean = torch.tensor([125.3, 123.0, 113.9]).view(1, 3, 1, 1)
    deviation = torch.tensor([63.0, 62.1, 66.7]).view(1, 3, 1, 1)
    return (records[:, 1:].reshape(-1, 3, 32, 32).float() - mean) / deviation, records[:, 0].long()


def score(state, folder):
    """Accuracy and loss of a network with these parameters on the folder's test images."""
    network = Network()
    network.load_state_dict(state)
    images, labels = read_test_images(folder)
    with torch.no_grad():
        output = network(images)
        loss = torch.nn.functional.cross_entropy(output, labels)
    return (output.argmax(1) == labels).float().mean().item(), loss.item()


def load_in_python(path):
    try:
        return torch.load(path, weights_only=True)
    except Exception:  # what is refused, and how, changes from version to version
        return torch.load(path, weights_only=False)


class SaveAndLoad(SampleTest):
    def setUp(self):
        super().setUp()
        self.data = self.find_data()

    def find_data(self):
        """The first of the real images, if there are any; else some with much noise and wrong labels, so that not all are learnt."""
        real = os.path.join(os.environ.get("TENSAIR_DATA", ""), "cifar10")
        if not os.path.exists(os.path.join(real, "test_batch.bin")):
            return write_data(self.path("data"), train=(400, 400), test=1000, noise=0.7, wrong_labels=0.2)
        os.mkdir(self.path("data"))
        for name, count in ("data_batch_1.bin", 2000), ("test_batch.bin", 1000):
            with open(os.path.join(real, name), "rb") as images, open(self.path(f"data/{name}"), "wb") as some:
                some.write(images.read(count * 3073))
        return self.path("data")

    def run_sample(self, *flags):
        """Trains one epoch unless `flags` say otherwise; returns test accuracy and loss after it."""
        file = self.path("figures.json")
        run = self.run_to_end("--data", self.data, "--epochs", 1, "--batch", 50, "--quiet", "--json", file, *flags)
        self.assert_succeeded(run)
        with open(file) as text:
            accuracy = json.load(text)["test_accuracy"][-1]
        return accuracy, float(re.findall(r"test loss (\S+)", run.stdout)[-1])

    def start_from(self, path, *flags):
        """Test accuracy and loss with the parameters of a file: after an epoch at a rate that changes nothing."""
        return self.run_sample("--load", path, "--optimizer", "sgd", "--lr", 1e-12, *flags)

    def assert_same_score(self, one, other):
        self.assertAlmostEqual(one[0], other[0], delta=TOLERANCE)
        self.assertAlmostEqual(one[1], other[1], delta=0.002)

    def train(self, *flags):
        """Parameters that have been trained a little; returns their file, and the sample's accuracy and loss with them."""
        path = self.path("model.pt")
        return path, self.run_sample("--epochs", 3, "--save", path, *flags)

    def python_state(self):
        torch.manual_seed(7)
        return Network().state_dict()

    def test_a_saved_file_is_a_dictionary_of_all_parameters(self):
        path, _ = self.train()
        state = load_in_python(path)
        self.assertIsInstance(state, dict)
        self.assertEqual({name: list(tensor.shape) for name, tensor in state.items()}, SHAPES)
        self.assertEqual(sum(tensor.numel() for tensor in state.values()), PARAMETERS)
        self.assertLess(os.path.getsize(path), 1.05 * 4 * PARAMETERS)
        for name, tensor in state.items():
            self.assertEqual(tensor.dtype, torch.float32, name)
            self.assertTrue(tensor.is_contiguous(), name)

    def test_a_saved_file_opens_with_torch_load_as_it_stands(self):
        path, _ = self.train()
        self.assertEqual(set(torch.load(path)), set(SHAPES))  # since 2.6 it takes nothing but weights

    def test_python_scores_a_saved_model_as_the_sample_did(self):
        for flags in [], ["--local", 2], ["--replicas", 2, "--no-fused", "--no-channels-last"]:
            with self.subTest(flags=flags):
                path, scored = self.train(*flags)
                self.assertTrue(0.2 < scored[0] < 0.95, f"{scored}: nothing to compare")
                self.assert_same_score(score(load_in_python(path), self.data), scored)

    def test_a_loaded_model_goes_on_from_where_it_was_saved(self):
        path, scored = self.train()
        for flags in [], ["--local", 2]:
            with self.subTest(flags=flags):
                self.assert_same_score(self.start_from(path, *flags), scored)

    def test_what_is_loaded_is_saved_again_unchanged(self):
        state = self.python_state()
        torch.save(dict(state), self.path("given.pt"))
        self.start_from(self.path("given.pt"), "--save", self.path("again.pt"))
        again = load_in_python(self.path("again.pt"))
        for name, tensor in state.items():
            self.assertLess((again[name] - tensor).abs().max().item(), 1e-6, name)

    def test_state_dictionaries_of_python_can_be_loaded(self):
        state = self.python_state()
        expected = score(state, self.data)
        writers = {
            "dict(m.state_dict())": lambda path: torch.save(dict(state), path),
            "channels_last": lambda path: torch.save(dict(self.network_of(state).to(memory_format=torch.channels_last).state_dict()), path),
            "float64": lambda path: torch.save({name: tensor.double() for name, tensor in state.items()}, path),
            "views of one buffer": lambda path: torch.save(self.views_of(state), path),
        }
        for what, write in writers.items():
            with self.subTest(what):
                write(self.path("given.pt"))
                self.assert_same_score(self.start_from(self.path("given.pt")), expected)

    def test_a_state_dictionary_with_python_classes_is_refused_with_advice(self):
        # An OrderedDict with metadata: LibTorch's reader does not know it.
        torch.save(self.network_of(self.python_state()).state_dict(), self.path("ordered.pt"))
        self.refuse(self.path("ordered.pt"), "ordered.pt", r"torch\.save\(dict\(module\.state_dict\(\)\), file\)")

    @staticmethod
    def network_of(state):
        network = Network()
        network.load_state_dict(state)
        return network

    @staticmethod
    def views_of(state):
        flat = torch.cat([tensor.flatten() for tensor in state.values()])
        parts = flat.split([tensor.numel() for tensor in state.values()])
        return {name: part.view_as(tensor) for (name, tensor), part in zip(state.items(), parts)}

    def refuse(self, path, *words):
        run = self.run_to_end("--data", self.data, "--epochs", 1, "--load", path, seconds=20)
        self.assert_failed(run, r"^cifar10: .*\.$", re.escape(path), *words, code=1)
        self.assertEqual(run.stdout, "", run)

    def test_files_that_are_no_model(self):
        torch.save(dict(self.python_state()), self.path("good.pt"))
        with open(self.path("good.pt"), "rb") as file:
            good = file.read()
        middle = len(good) // 2
        contents = {
            "an empty file": b"",
            "garbage": os.urandom(5000),
            "text": b"conv1.weight = 1\n",
            "the first half": good[:middle],
            "the second half": good[middle:],
            "a broken index": good[:-64] + bytes(64),
        }
        for what, content in contents.items():
            with self.subTest(what):
                with open(self.path("bad.pt"), "wb") as file:
                    file.write(content)
                self.refuse(self.path("bad.pt"))

    def test_no_file_and_a_folder(self):
        self.refuse(self.path("missing.pt"))
        os.mkdir(self.path("folder.pt"))
        self.refuse(self.path("folder.pt"))

    def test_files_with_something_else_in_them(self):
        contents = {
            "a tensor": torch.zeros(3),
            "a list": [torch.zeros(3)],
            "numbers": {"conv1.weight": 1.0},
            "keys that are no names": {1: torch.zeros(3)},
            "a checkpoint": {"epoch": 3, "model": dict(self.python_state())},
        }
        for what, content in contents.items():
            with self.subTest(what):
                torch.save(content, self.path("bad.pt"))
                self.refuse(self.path("bad.pt"))

    def test_files_of_another_architecture(self):
        state = dict(self.python_state())
        without = {name: tensor for name, tensor in state.items() if name != "dense2.bias"}
        cases = {
            "another shape": (state | {"conv2.weight": torch.zeros(64, 32, 5, 5)}, ["conv2.weight", r"\[64, 32, 5, 5\]", r"\[64, 32, 3, 3\]"]),
            # A copy would spread it over the whole parameter.
            "a shape that could be broadcast": (state | {"dense1.bias": torch.zeros(1)}, ["dense1.bias", r"\[1\]", r"\[64\]"]),
            "one parameter is missing": (without, ["dense2.bias"]),
            "one parameter too many": (state | {"dense3.weight": torch.zeros(10, 10)}, ["dense3.weight"]),
            "other names": ({"model." + name: tensor for name, tensor in state.items()}, ["conv1.weight"]),
            "nothing": ({}, ["conv1.weight"]),
        }
        for what, (content, words) in cases.items():
            with self.subTest(what):
                torch.save(content, self.path("bad.pt"))
                self.refuse(self.path("bad.pt"), *words)

    def test_every_local_node_says_that_a_file_is_bad(self):
        with open(self.path("bad.pt"), "wb"):
            pass
        run = self.run_to_end("--data", self.data, "--local", 2, "--load", self.path("bad.pt"), seconds=20)
        self.assert_failed(run, re.escape(self.path("bad.pt")), code=1, lines=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
