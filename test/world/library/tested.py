import doctest, io, sys, unittest
from unittest import mock
def double(x):
    """
    >>> double(2)
    4
    >>> double("a")
    'aa'
    >>> double(None)
    Traceback (most recent call last):
    TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'
    """
    return x * 2
class Shop:
    def fetch(self): raise OSError("no network")
    def total(self): return sum(self.fetch())
class Tests(unittest.TestCase):
    @classmethod
    def setUpClass(cls): cls.n = 1
    def setUp(self): self.addCleanup(lambda: None)
    def test_equal(self): self.assertEqual([1, {"a": 2}], [1, {"a": 2}])
    def test_raises(self):
        with self.assertRaisesRegex(ValueError, "invalid literal"): int("x")
    def test_mocked(self):
        with mock.patch.object(Shop, "fetch", return_value=[1, 2]) as fetch:
            self.assertEqual(Shop().total(), 3)
            fetch.assert_called_once_with()
    def test_subtests(self):
        for i in range(3):
            with self.subTest(i=i): self.assertLess(i, 3)
    @unittest.skip("not today")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail("known")
    def test_wrong(self): self.assertEqual({"a": 1, "b": 2}, {"a": 1, "b": 3})
    def test_logs(self):
        import logging
        with self.assertLogs("x", "INFO") as logs: logging.getLogger("x").info("hi %s", 1)
        self.assertEqual(logs.output, ["INFO:x:hi 1"])
class Slow(unittest.IsolatedAsyncioTestCase):
    async def test_async(self):
        import asyncio
        await asyncio.sleep(0)
        self.assertTrue(True)
out = io.StringIO()
suite = unittest.TestSuite([unittest.defaultTestLoader.loadTestsFromTestCase(c) for c in (Tests, Slow)])
result = unittest.TextTestRunner(stream=out, verbosity=2).run(suite)
print(result.testsRun, len(result.failures), len(result.errors), len(result.skipped), len(result.expectedFailures), result.wasSuccessful())
print([line for line in out.getvalue().splitlines() if line.startswith(("AssertionError", "- {", "+ {", "FAIL"))])
print(doctest.testmod())
m = mock.MagicMock(spec=Shop, **{"total.side_effect": [1, StopIteration]})
print(m.total(), m.total.call_count, mock.call(1, a=2) == mock.call(1, a=2), mock.sentinel.x)
with mock.patch.dict("os.environ", {"NEW": "1"}), mock.patch("builtins.open", mock.mock_open(read_data="faked")):
    print(open("anything").read())
