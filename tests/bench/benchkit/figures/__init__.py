"""The figures, by name, in the order in which they are taken. Each is a function of a Context that returns rows."""

from . import attacks, audit, billing, failover, flat, footprint, growth, history, instructions, latency, reads, throughput, tls

FIGURES = {
    "generator": throughput.generator,
    "throughput": throughput.throughput,
    "latency": latency.latency,
    "reads": reads.reads,
    "payments": billing.payments,
    "close": billing.close,
    "memory": footprint.memory,
    "cpu": footprint.cpu,
    "life": footprint.life,
    "history": history.history,
    "growth": growth.growth,
    "audit": audit.audit,
    "flat": flat.flat,
    "failover": failover.failover,
    "tls": tls.tls,
    "attacks": attacks.attacks,
}
# Only when asked for: they take long, or need valgrind.
EXTRA = {"soak": footprint.soak, "callgrind": footprint.callgrind, "instructions": instructions.instructions}
