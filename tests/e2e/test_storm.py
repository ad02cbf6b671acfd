"""The storm, briefly: every fault once, in an order of a fixed seed, which is not the soak's. VISITBILL_SEED is another one."""

import os

from .storm import SETTINGS, Storm, StormPair, for_a_while


def test_every_fault_once():
    seed = int(os.environ.get("VISITBILL_SEED", 20261127))
    print(f"VISITBILL_SEED={seed}")
    with StormPair(SETTINGS) as pair:
        storm = Storm(pair, seed)
        faults = [fault for fault, _ in zip(for_a_while(seed, 3600), Storm.FAULTS)]
        storm.run(faults)
        assert set(storm.seen) == {fault.__name__ for fault in Storm.FAULTS}
        storm.check()
