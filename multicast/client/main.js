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

// reuseAddr: several clients on one machine, and all of them hear. Node has no
// way to ask for a datagram's TTL.
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true }, (message, rinfo) => {
  console.log(`${rinfo.address}:${rinfo.port}: ${quote(message)}`)
})
socket.on('error', (err) => {
  console.error(`client: ${err.message}`)
  process.exitCode = 1
  socket.close()
})
// Nor can it ask where one was sent to, and so the kernel has to keep out other
// groups: it does for a socket that is bound to the group's own address. One
// that is bound to the machine's, like the notes' client, hears no group at all.
socket.bind(port, host, () => {
  socket.addMembership(host, ip)
  console.log(`listening on ${host}:${socket.address().port}`)
  console.log(`joined ${host} on ${ifname}`)
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

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}
