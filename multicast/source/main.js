// Source joins a multicast group for the sake of one sender, and prints what that
// one sends to the group: source-specific multicast.
//
//	node multicast/source/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, source, interface: name } = parseArgs({ options: {
  group: { type: 'string', default: '232.185.192.108:8080' },
  source: { type: 'string', default: '127.0.0.1' },
  interface: { type: 'string' }
} }).values
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

// Bound to the group, so that the kernel keeps out other groups. Other senders it
// keeps out on the interface of the membership only, and so this looks as well.
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true }, (message, rinfo) => {
  if (rinfo.address === source) console.log(`${rinfo.address}:${rinfo.port}: ${quote(message)}`)
})
socket.on('error', (err) => {
  console.error(`source: ${err.message}`)
  process.exitCode = 1
  socket.close()
})
socket.bind(port, host, () => {
  socket.addSourceSpecificMembership(source, host, ip)
  console.log(`listening on ${host}:${socket.address().port}`)
  console.log(`joined ${host} from ${source} on ${ifname}`)
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
