// Ipv6 joins an IPv6 group on one interface, says something to it if told to, and prints
// what is sent to it. Linux has no way for that by lo: name another interface.
//
//	node multicast/ipv6/main.js --interface eth0
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, message, hops } = parseArgs({ options: {
  group: { type: 'string', default: '[ff12::1234]:8080' },
  interface: { type: 'string' },
  message: { type: 'string' },
  hops: { type: 'string', default: '1' }
} }).values
if (!/^\d+$/.test(hops) || hops > 255) { // Node keeps 32 bits of it: 4294967297 would be sent as 1
  console.error(`ipv6: want --hops from 0 to 255, not ${hops}`)
  process.exit(1)
}
const [, host, port] = /^\[(.*)\]:(\d+)$/.exec(group)
const ifname = name ?? Object.entries(os.networkInterfaces()).find(([, addresses]) => addresses[0].internal)[0]

const socket = dgram.createSocket({ type: 'udp6', reuseAddr: true })
//weave:join
// Bound to the group's own address, so that the kernel keeps others out. If the group is
// one of a link, its zone also keeps out what comes by other interfaces.
socket.bind(port, `${host}%${ifname}`, () => {
  socket.addMembership(host, `::%${ifname}`) // no address but a zone
  socket.setMulticastInterface(`::%${ifname}`)
  socket.setMulticastTTL(Number(hops)) // the hop limit
  const { port } = socket.address()
  console.log(`listening on [${host}]:${port}`)
  console.log(`joined ${host} on ${ifname}`)
  if (!message) return
  socket.send(message, port, `${host}%${ifname}`, (err, bytes) => {
    if (err) return socket.emit('error', err)
    console.log(`sent ${bytes} bytes to [${host}%${ifname}]:${port}`)
  })
})
socket.on('message', (data, { address, port }) => { // a link-local address has its zone
  console.log(`[${address}]:${port}: ${JSON.stringify(data.subarray(0, 64).toString())}`)
})
//weave:end
socket.on('error', (err) => {
  console.error(`ipv6: ${err.message}`)
  process.exitCode = 1
  socket.close()
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}
