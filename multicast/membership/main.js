// Membership joins a multicast group, prints what is sent to it, and leaves again,
// with the socket still open.
//
//	node multicast/membership/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, 'leave-after': leaveAfter } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' },
  'leave-after': { type: 'string', default: '5s' }
} }).values
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

//weave:stay
let member = true
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true }, (data, { address, port }) => {
  // After leaving too the group comes here, while any program of this machine is a member.
  if (member) console.log(`${address}:${port}: ${JSON.stringify(data.subarray(0, 64).toString())}`)
})
socket.bind(port, host, () => {
  socket.addMembership(host, ip) // a second time it throws EADDRINUSE
  console.log(`listening on ${host}:${socket.address().port}\njoined ${host} on ${ifname}`)
  // Timers come before sockets: setImmediate lets Node look at what came in time.
  setTimeout(() => setImmediate(leave), ms(leaveAfter))
})

function leave () {
  socket.dropMembership(host, ip) // close() leaves, too
  console.log(`left ${host} on ${ifname}`)
  member = false
}
//weave:end
socket.on('error', (err) => {
  console.error(`membership: ${err.message}`)
  process.exitCode = 1
  socket.close()
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => {
    console.log('closed')
    process.exit() // the timer would keep it alive
  }))
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

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  const total = [...time.matchAll(/(-?[\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
  return Math.min(total, 2 ** 31 - 1) // of more setTimeout makes 1 ms
}
