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

const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true })
socket.on('error', (err) => {
  console.error(`source: ${err.message}`)
  process.exitCode = 1
  socket.close()
})
//weave:join
// Node cannot ask where a datagram was sent to, and so binds the group itself: then
// the kernel keeps other groups out. (Windows cannot bind a group.)
socket.bind(port, host, () => {
  socket.addSourceSpecificMembership(source, host, ip) // ip: an address of the interface
  console.log(`listening on ${host}:${socket.address().port}`)
  console.log(`joined ${host} from ${source} on ${ifname}`)
})
// Other senders it keeps out on that interface only, and so this looks. By which
// interface a datagram came Node cannot ask either: Go passes over those of others.
socket.on('message', (data, { address, port }) => {
  if (address === source) console.log(`${address}:${port}: ${quote(data)}`)
})
//weave:end

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
  return JSON.stringify(data.subarray(0, 64).toString())
}
