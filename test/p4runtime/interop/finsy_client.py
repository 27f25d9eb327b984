"""An unmodified finsy against a P4Runtime server: ADDRESS P4INFO CONFIG. Ends with `interop ok`."""
import asyncio
import sys
from pathlib import Path

import finsy as fy

address, p4info, config = sys.argv[1:4]
forward = [fy.P4TableAction("forward", port=port) for port in (1, 2, 3)]


async def main():
    options = fy.SwitchOptions(p4info=Path(p4info), p4blob=Path(config), device_id=1)
    async with fy.Switch("device", address, options) as device:
        assert device.is_primary
        await device.delete_all()

        def lpm():
            return fy.P4TableEntry("lpm32", match=fy.P4TableMatch({"h.probe.b32": "10.0.0.0/8"}), action=forward[2])

        acl = fy.P4TableMatch({"h.probe.b32": "0x10/&0xff", "h.probe.b16": "5...9"})
        group = fy.P4IndirectAction([(1, forward[0]), (2, forward[1])])
        await device.write([
            +lpm(),
            +fy.P4TableEntry("acl", match=acl, action=forward[0], priority=4),
            +fy.P4TableEntry("by_group", match=fy.P4TableMatch({"h.probe.b8": 1}), action=group),
            +fy.P4MulticastGroupEntry(5, replicas=[1, 2]),
        ])
        read = [e async for e in device.read([fy.P4TableEntry()])]
        assert len(read) == 3, read
        assert len([c async for c in device.read(fy.P4CounterEntry("cells"))]) == 16
        try:
            await device.write([+lpm()])
            raise AssertionError("the same entry twice")
        except fy.P4ClientError as e:
            assert "ALREADY_EXISTS" in str(e), e
        await device.delete_all()
        assert [e async for e in device.read([fy.P4TableEntry()])] == []
    print("interop ok")


asyncio.run(main())
