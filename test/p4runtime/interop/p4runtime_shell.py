"""An unmodified p4runtime-shell against a P4Runtime server: ADDRESS P4INFO CONFIG. Ends with `interop ok`."""
import sys

import p4runtime_sh.shell as sh
from p4runtime_sh.p4runtime import P4RuntimeWriteException

address, p4info, config = sys.argv[1:4]
sh.setup(device_id=1, grpc_addr=address, election_id=(0, 1), config=sh.FwdPipeConfig(p4info, config))


def use():
    lpm = sh.TableEntry("ConformanceIngress.lpm32")(action="ConformanceIngress.forward")
    lpm.match["h.probe.b32"] = "10.0.0.0/8"
    lpm.action["port"] = "3"
    lpm.insert()
    acl = sh.TableEntry("ConformanceIngress.acl")(action="ConformanceIngress.forward")
    acl.match["h.probe.b32"] = "0x10&&&0xff"
    acl.match["h.probe.b16"] = "5..9"
    acl.priority = 4
    acl.action["port"] = "1"
    acl.insert()
    read = [e for name in ("lpm32", "acl") for e in sh.TableEntry("ConformanceIngress." + name).read()]
    assert len(read) == 2, read

    try:
        acl.insert()
        raise AssertionError("the same entry twice")
    except P4RuntimeWriteException as e:
        assert "ALREADY_EXISTS" in str(e), e
    acl.action["port"] = "2"
    acl.modify()
    acl.delete()

    member = sh.ActionProfileMember("ConformanceIngress.groups")(member_id=1, action="ConformanceIngress.forward")
    member.action["port"] = "1"
    member.insert()
    group = sh.ActionProfileGroup("ConformanceIngress.groups")(group_id=1, max_size=4)
    group.add(1)
    group.insert()
    sh.MulticastGroupEntry(5).add(1, 1).add(2, 1).insert()

    counter = sh.CounterEntry("ConformanceIngress.cells")
    counter.index = 3
    counter.packet_count = 4
    counter.modify()
    counts = [c.packet_count for c in sh.CounterEntry("ConformanceIngress.cells").read()]
    assert counts == [0, 0, 0, 4] + [0] * 12, counts


try:
    use()
finally:
    # Its stream would keep the process alive.
    sh.teardown()
print("interop ok")
