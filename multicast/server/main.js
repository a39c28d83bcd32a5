// Server sends the time of day to a multicast group: the notes' server, mended.
//
//	node multicast/server/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, ttl, loopback, interval, count } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' },
  ttl: { type: 'string', default: '128' },
  loopback: { type: 'string', default: 'true' },
  interval: { type: 'string', default: '1s' },
  count: { type: 'string', default: '0' }
} }).values
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

const socket = dgram.createSocket('udp4')
let timer
// Options have to wait until the socket is bound: before, they fail with EBADF.
// A sender need not join the group.
socket.bind(0, ip, () => {
  socket.setMulticastInterface(ip) // by its address, not by its name
  socket.setMulticastTTL(+ttl)
  socket.setMulticastLoopback(loopback === 'true')
  console.log(`sending to ${group} from ${ip}:${socket.address().port} on ${ifname}, ` +
    `TTL ${ttl}, loopback ${loopback === 'true' ? 'on' : 'off'}`)
  send()
  timer = setInterval(send, ms(interval))
})

let sent = 0
function send () {
  const data = Buffer.from(new Date().toLocaleString('sv')) // Sweden writes 2006-01-02 15:04:05
  socket.send(data, 0, data.length, +port, host, (err) => {
    if (err) return fail(err)
    console.log(`sent ${data.length} bytes: "${data}"`)
    if (++sent === +count) close()
  })
}

function fail (err) {
  console.error(`server: ${err.message}`)
  process.exitCode = 1
  close()
}

function close (then) {
  clearInterval(timer)
  socket.close(then)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => close(() => console.log('closed')))
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

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
