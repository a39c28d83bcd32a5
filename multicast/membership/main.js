// Membership shows how to join a multicast group and leave it: it prints what the
// group is sent in between.
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

let member = false
let timer
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true }, (message, rinfo) => {
  // While another program on this machine is a member, the socket goes on hearing
  // the group. Having left is for us to know.
  if (member) console.log(`${rinfo.address}:${rinfo.port}: ${quote(message)}`)
})
socket.on('error', (err) => {
  console.error(`membership: ${err.message}`)
  process.exitCode = 1
  socket.close()
})
socket.bind(port, host, () => {
  socket.addMembership(host, ip)
  console.log(`listening on ${host}:${socket.address().port}`)
  console.log(`joined ${host} on ${ifname}`)
  member = true
  timer = setTimeout(() => {
    socket.dropMembership(host, ip) // if no member: EADDRNOTAVAIL
    console.log(`left ${host} on ${ifname}`)
    member = false
  }, ms(leaveAfter))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    clearTimeout(timer)
    socket.close(() => console.log('closed'))
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

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
