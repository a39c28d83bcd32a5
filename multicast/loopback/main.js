// Loopback sends to a multicast group that it is a member of itself, once with
// loopback on and once with it off, and tells which of the two it receives.
//
//	node multicast/loopback/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, wait } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' },
  wait: { type: 'string', default: '500ms' }
} }).values
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true })
socket.on('error', (err) => {
  console.error(`loopback: ${err.message}`)
  process.exit(1)
})
socket.bind(port, () => {
  socket.addMembership(host, ip)
  socket.setMulticastInterface(ip)
  // Where a program has joined, TTL 0 stays on the machine, on Linux. The join does
  // not, nor does leaving: on a network card both are reported to the routers (IGMP).
  socket.setMulticastTTL(0)
  console.log(`sending to ${group} on ${ifname}, TTL 0`)
  attempt('on', () => attempt('off', (heard) => {
    if (heard) console.log(`${ifname} returns everything that is sent on it: try -interface with a network card's name`)
    socket.close()
  }))
})

// attempt sends a datagram with loopback on or off, says whether this machine receives
// it within that time, and tells that to what comes next.
function attempt (state, next) {
  const text = `loopback ${state} ${process.pid}` // nobody else's here
  socket.on('message', (data) => { if (data.toString() === text) done(true) })
  // Timers come before what has arrived: a program that was held up has to look at
  // that too, and setImmediate is after it.
  const timer = setTimeout(() => setImmediate(() => done(false)), ms(wait))
  socket.setMulticastLoopback(state === 'on') // the sender's option, on Windows the receiver's
  socket.send(text, +port, host)

  let over = false
  function done (heard) {
    if (over) return
    over = true
    clearTimeout(timer)
    socket.removeAllListeners('message')
    console.log(`loopback ${state}: ${heard ? 'heard' : 'silent'}`)
    next(heard)
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    console.log('closed')
    process.exit()
  })
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
