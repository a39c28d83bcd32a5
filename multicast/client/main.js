// Client joins a multicast group and prints what is sent to it: the notes' client,
// mended.
//
//	node multicast/client/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' }
} }).values
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

//weave:join
// reuseAddr: several clients on one machine, and each of them receives everything.
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true })
// Bound to the group's own address, so that the kernel keeps other groups out: Node
// does not tell where a datagram was sent to, nor its TTL, nor by which interface it
// came. One bound to the machine's address, as in the notes, receives no group at all.
socket.bind(port, host, () => {
  socket.addMembership(host, ip) // on the interface that has this address
  console.log(`listening on ${host}:${socket.address().port}`)
  console.log(`joined ${host} on ${ifname}`)
})
socket.on('message', (data, { address, port }) => {
  console.log(`${address}:${port}: ${JSON.stringify(data.subarray(0, 64).toString())}`)
})
//weave:end
socket.on('error', (err) => {
  console.error(`client: ${err.message}`)
  process.exitCode = 1
  socket.close()
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

// pick returns the named interface, or the loopback interface if there is no
// name, and its IPv4 address.
function pick (name) {
  for (const [ifname, addresses] of Object.entries(os.networkInterfaces())) {
    const found = addresses.find((a) => a.family === 'IPv4' && (name ? ifname === name : a.internal))
    if (found) return { ifname, ip: found.address }
  }
  throw new Error(`interface ${name}: not found`)
}
